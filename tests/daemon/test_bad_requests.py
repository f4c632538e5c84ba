"""What the daemon's port answers to requests that are none, too large, too slow, or not allowed."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from websocket import WebSocketBadStatusException, create_connection

from proxy.daemon.client import Daemon as Client
from proxy.daemon.http_client import DaemonClient
from proxy.errors import DaemonGone
from tests.daemon.rude import SESSION, answer, connect, head, status_of, undisturbed
from tests.frontends.kmux_process import DEADLINE, Daemon, Workplace, until
from tests.frontends.web_client import WebApi, api_of

pytestmark = pytest.mark.timeout(120)

NOT_HTTP = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /api HTTP/1.1\r\n\r\n",  # without a host
    b"GET http://localhost/api HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"GET /api HTTP/1.1\r\nhost: localhost\r\n\x00: x\r\n\r\n",
]
BODIES = [
    b"hello",
    b"[]",
    b"null",
    b'{"kernel": 7}',
    b'{"kernel": "python3", "env": {"\xff": "x"}}',
    b'{"kernel": ' + b"[" * 10_000,
    b'{"kernel": "nothing"}',
    b'{"kernel": "../../etc"}',
    b'{"kernel": "python3", "name": "a/b"}',
    b'{"kernel": "python3", "away_hours": 1e999}',
]
"""None is a wish for a session that can be fulfilled."""
IMPATIENT = """
from proxy.endpoints import http_requests
http_requests.HEAD_SECONDS = http_requests.IDLE_SECONDS = http_requests.BODY_SECONDS = 1.0
from proxy.cli.main import main
main()
"""


def test_what_is_no_request_is_refused_and_the_rest_goes_on(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        for said in NOT_HTTP:
            assert status_of(api, said) == 400, said
        assert status_of(api, b"GET /api HTTP/1.1\r\nx: " + b"y" * 20_000) == 431
        both = ("content-length: 2", "transfer-encoding: chunked")
        assert status_of(api, head(api, "POST", "/api/kernels", *both) + b"0\r\n\r\n") == 400
        for target, status in (
            ("/api?" + "a=1&" * 101, 400),
            ("/nothing", 404),
            ("/api/kernels/%00", 404),
            ("/api/kernels/" + "x" * 10_000, 404),
            ("/kernelspecs/python3/kernel.json", 404),
            (f"/kmux/sessions/{SESSION}/outputs?cells=" + "9" * 5000, 400),
            (f"/kmux/sessions/{SESSION}/blobs/" + "0" * 64, 404),
            (f"/kmux/sessions/{SESSION}/blobs/..%2f..", 404),
            ("/page/..%2f..%2fweb.py", 404),
            ("/kernelspecs/python3/..%2fpython3%2flogo-64x64.png", 404),
            ("/kernelspecs/..%2f..%2fkernels/logo-64x64.png", 404),
        ):
            assert status_of(api, head(api, "GET", target)) == status, target
        for method in ("BREW", "TRACE", "PUT", "get"):
            assert status_of(api, head(api, method, "/api/kernels")) == 405, method


def test_bodies_that_are_too_large_or_something_else(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        for body in BODIES:
            length = f"content-length: {len(body)}"
            said = head(api, "POST", "/kmux/sessions", length) + body
            assert status_of(api, said) == 400, body
        for path in ("/kmux/sessions", "/api/kernels", "/api/sessions", "/api/kernels/x/restart"):
            large = head(api, "POST", path, "content-length: 2000000")
            assert status_of(api, large) == 413, "before it comes"
            chunks = b"10000\r\n" + b"x" * 65536 + b"\r\n"
            chunked = head(api, "POST", path, "transfer-encoding: chunked") + chunks * 32
            assert status_of(api, chunked) == 413
        assert [live["name"] for live in api.get("kmux/sessions")] == [SESSION]


def test_who_is_slow_or_silent_is_hung_up_on(workplace: Workplace) -> None:
    """In a daemon that has a second for what otherwise has ten or sixty."""
    with impatient(workplace) as daemon, undisturbed(daemon) as api:
        post = head(api, "POST", "/api/kernels", "content-length: 1000") + b'{"name": '
        silent = [connect(api) for _ in range(50)]
        half_a_head = [begun(api, b"GET /api HTTP/1.1\r\nhost: local") for _ in range(50)]
        half_a_body = [begun(api, post) for _ in range(50)]
        idle = begun(api, head(api, "GET", "/api"))
        gone = begun(api, b"GET /api HT")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()  # with a reset
        assert status_of(api, b"GET /api HTTP/1.1\r\nhost: local") == 400, "its side is closed"
        drip(half_a_head + half_a_body)
        for each in silent + half_a_head:
            assert answer(each) == b""
        for each in half_a_body:
            assert answer(each).startswith(b"HTTP/1.1 408 ")
        assert answer(idle).startswith(b"HTTP/1.1 200 "), "and then hung up on"
        for each in (*silent, *half_a_head, *half_a_body, idle):
            each.close()
        assert api.get("api/status")["kernels"] == 1


def begun(api: WebApi, said: bytes) -> socket.socket:
    """Connect, and begin to say something."""
    connection = connect(api)
    connection.sendall(said)
    return connection


def drip(slow: list[socket.socket]) -> None:
    """Send a byte now and then, until all have been hung up on."""
    left = list(slow)

    def all_hung_up() -> bool:
        for each in tuple(left):
            try:
                each.send(b" ")
                each.setblocking(False)
                if each.recv(1, socket.MSG_PEEK) is not None:  # an answer, or the end
                    left.remove(each)
            except BlockingIOError:
                pass
            except ConnectionError:
                left.remove(each)
            finally:
                each.settimeout(DEADLINE)
        return not left

    until(all_hung_up, "all that send in drops are hung up on")


@contextmanager
def impatient(workplace: Workplace) -> Iterator[Daemon]:
    """Have a daemon that waits a second for heads and bodies."""
    with workplace.daemon() as daemon:
        process = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT, "daemon", "serve"],
            env=workplace.environment,
            start_new_session=True,
        )
        socket_path = workplace.environment["KMUX_RUNTIME_DIR"] + "/daemon/control.sock"
        client = Client(DaemonClient(socket_path))

        def is_up() -> bool:
            with suppress(DaemonGone):
                return client.status().pid == process.pid
            return False

        try:
            until(is_up, "the daemon answers")
            yield daemon
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(DEADLINE)
            daemon.kmux("daemon", "start")  # whose end ends the session


def test_who_has_no_token_or_another_one_learns_nothing(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        kernel_id = api.get("api/kernels")[0]["id"]
        looking = api_of(daemon, read_only=True)
        for token in ("", "wrong", api.token[:-1], api.token + "x", "ä", looking.token.upper()):
            stranger = WebApi(api.url, token)
            for method, path in operations(api):
                status = status_of(stranger, head(stranger, method, path))
                is_public = path == "/" or path.startswith("/page/")
                assert status in ((200, 404) if is_public else (403,)), (method, path)
            for path in ("/nothing", "/api/kernels/nothing"):
                assert status_of(stranger, head(stranger, "GET", path)) == 403, path
            assert handshake(stranger, kernel_id) == handshake(stranger, "nothing") == 403
        assert status_of(api, b"GET /api?token=%ff HTTP/1.1\r\nhost: localhost\r\n\r\n") == 403


def test_the_read_only_token_is_for_what_changes_nothing(daemon: Daemon) -> None:
    with undisturbed(daemon) as api:
        looking = api_of(daemon, read_only=True)
        before = api.get("api/kernels"), api.get("kmux/sessions")
        for method, path in operations(api):
            status = status_of(looking, head(looking, method, path))
            assert (status == 403) == (method != "GET"), (method, path, status)
        assert looking.get("api/me")["identity"]["username"] == "onlooker"
        after = api.get("api/kernels"), api.get("kmux/sessions")
        assert [each["id"] for each in after[0]] == [each["id"] for each in before[0]]
        assert [each["pid"] for each in after[1]] == [each["pid"] for each in before[1]]


def operations(api: WebApi) -> list[tuple[str, str]]:
    """Return each method and path of the document, with a name in each place."""
    paths = api.get("kmux/openapi.json")["paths"]
    named = {
        path: path.replace("{name}", SESSION).replace("{", "").replace("}", "") for path in paths
    }
    return [
        (method.upper(), named[path])
        for path in paths
        for method in paths[path]
        if path != "/kmux/daemon" or method == "get"
    ]


ELSEWHERE: list[tuple[str, str | None]] = [
    ("evil.example", None),  # a name of theirs that leads here (DNS rebinding)
    ("localhost.evil.example", None),
    ("127.0.0.1.evil.example", None),
    ("localhost", "https://evil.example"),
    ("localhost", "http://localhost.evil.example"),
    ("localhost", "null"),  # a kernel's HTML in a sandbox; a file
    ("localhost", "file://"),
]
"""The host and the origin of who comes through somebody else's page."""


def test_pages_from_elsewhere_are_refused_even_with_the_token(daemon: Daemon) -> None:
    api = api_of(daemon)
    for host, origin in ELSEWHERE:
        lines = [f"origin: {origin}"] if origin is not None else []
        for method, path in (("GET", "/api/kernels"), ("POST", "/api/kernels"), ("OPTIONS", "/")):
            status = status_of(api, head(api, method, path, *lines, host=host))
            assert status == 403, (host, origin, method)
        assert handshake(api, "nothing", host=host, origin=origin) == 403, (host, origin)
    assert api.get("api/kernels") == []


def handshake(api: WebApi, kernel_id: str, **options: str | None) -> int:
    """Ask for a kernel's WebSocket. Returns the status of the refusal."""
    url = f"{api.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels?token={api.token}"
    with pytest.raises(WebSocketBadStatusException) as refused:
        create_connection(url.encode("ascii", "ignore").decode(), DEADLINE, **options)
    return refused.value.status_code
