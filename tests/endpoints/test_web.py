"""The HTTP front on a port: the place itself, who may come in, and TLS."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trio
import trustme

from proxy.endpoints import web
from proxy.endpoints.routes import Request, Response, Route
from proxy.endpoints.tls import tls_context
from proxy.endpoints.web import WebFront
from proxy.errors import ConfigError
from tests.endpoints.http_client import (
    ECHO,
    GREET,
    REPEAT,
    TOKEN,
    greet,
    open_front,
    open_websocket,
)
from tests.inbox import DEADLINE_SECONDS, eventually

# Who may come in


async def test_a_stranger_learns_nothing() -> None:
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        for target in ("/hello/alice", "/nothing", "/talk"):
            answer = await client.get(target, authorization="")
            assert (answer.status, b"token" in answer.body) == (403, True)
        answer = await client.get("/hello/alice", host="evil.example")
        assert answer.status == 403
        answer = await client.get("/hello/alice", origin="https://evil.example")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_what_is_public_is_for_who_has_no_token_but_not_for_pages_from_elsewhere() -> None:
    public = Route(method="GET", path="/", answer=greet, is_public=True)
    async with open_front(GREET, public) as scene, scene.client() as client:
        for method, body in (("GET", b"hello None"), ("HEAD", b"")):
            answer = await client.get("/", method=method, authorization="")
            assert (answer.status, answer.body) == (200, body)
        assert (await client.get("/", authorization="token wrong")).status == 200
        assert (await client.get("/hello/alice", authorization="")).status == 403
        for method in ("POST", "OPTIONS"):
            assert (await client.ask(method, "/", authorization="")).status == 403
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            assert (await client.get("/", authorization="", **headers)).status == 403


async def test_a_page_on_another_port_of_this_machine_may_read() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
        for authorization, status in (("token secret", 200), ("", 403)):
            answer = await client.get(
                "/hello/alice", origin="http://localhost:8888", authorization=authorization
            )
            assert answer.status == status
            assert answer.headers["access-control-allow-origin"] == "http://localhost:8888"
            assert answer.headers["vary"] == "Origin"


ASKED = {
    "access_control_request_method": "POST",
    "access_control_request_headers": "authorization, content-type",
    "authorization": "",  # a browser sends none with this question
}


async def test_a_browser_that_asks_for_such_a_page_is_told_that_it_may() -> None:
    async with open_front(REPEAT) as scene, scene.client() as client:
        answers = [
            await client.ask("OPTIONS", target, origin="http://localhost:8888", **ASKED)
            for target in ("/repeat", "/nothing")
        ]
        for answer in answers:
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == "http://localhost:8888"
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert "authorization" in answer.headers["access-control-allow-headers"].lower()
            del answer.headers["date"]
        assert answers[0] == answers[1], "no token, so it does not say what there is"
        answer = await client.ask("POST", "/repeat", b"hello", origin="http://localhost:8888")
        assert answer.body == b"hello"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"host": "evil.example"}],
)
async def test_a_browser_that_asks_for_another_page_is_told_that_it_may_not(
    headers: dict[str, str],
) -> None:
    async with open_front(REPEAT) as scene, scene.client() as client:
        headers = {"origin": "http://localhost:8888"} | ASKED | headers
        answer = await client.ask("OPTIONS", "/repeat", **headers)
        assert answer.status == 403
        assert "access-control-allow-methods" not in answer.headers


# The port


async def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    async with open_front() as scene:
        second = WebFront([], scene, token=TOKEN, port=scene.front.port)
        with pytest.raises(ConfigError, match=f"port {scene.front.port}: .*choose another"):
            await second.serve()


async def test_the_same_port_can_be_had_again_at_once() -> None:
    port = 0
    for _ in range(3):
        async with open_front(GREET, port=port) as scene, scene.client() as client:
            port = scene.front.port
            assert (await client.get("/hello/alice")).status == 200


async def test_an_address_of_version_six_stands_in_brackets() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with open_front(GREET, address="::1") as scene:
        assert scene.front.netloc == f"[::1]:{scene.front.port}"
        stream = await trio.open_tcp_stream("::1", scene.front.port)
        await stream.aclose()


async def test_a_machine_that_is_gone_is_noticed_by_the_system() -> None:
    """Its timer runs (2, in proc(5)): a cable that is pulled out is more than a test can do."""
    async with open_front(GREET) as scene, scene.client() as client:
        assert (await client.get("/hello/alice")).status == 200
        table = await trio.Path("/proc/net/tcp").read_text()
        here, established = f":{scene.front.port:04X}", "01"
        lines = [line.split() for line in table.splitlines()[1:]]
        (timer,) = [f[5] for f in lines if f[1].endswith(here) and f[3] == established]
        kind, _, hundredths = timer.partition(":")
        assert kind == "02"
        assert int(hundredths, 16) <= 6000


async def test_who_answers_is_not_disturbed_by_who_hangs_up() -> None:
    """A kernel is started as a whole, or not at all."""
    begun, go_on, done = trio.Event(), trio.Event(), trio.Event()

    async def start(request: Request) -> Response:
        begun.set()
        await go_on.wait()
        done.set()
        return Response(status=201)

    async with open_front(Route(method="POST", path="/", answer=start)) as scene:
        async with scene.client() as client:
            await client.say(client.question("POST", "/"))
            await begun.wait()
        go_on.set()
        with trio.fail_after(DEADLINE_SECONDS):
            await done.wait()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


# TLS


async def test_a_websocket_speaks_tls_too(certificate: Path, trust: ssl.SSLContext) -> None:
    async with open_front(ECHO, tls=tls_context(certificate)) as scene:
        url = scene.websocket_url.replace("ws://", "wss://")
        async with open_websocket(url, trust) as client:
            for message in (b"", b"hello", bytes(100_000)):
                await client.send_message(message)
                assert await client.get_message() == message
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.rejections
        assert not scene.failures


async def test_who_does_not_trust_the_certificate_is_rejected(certificate: Path) -> None:
    stranger = ssl.create_default_context()
    trustme.CA().configure_trust(stranger)
    async with open_front(GREET, tls=tls_context(certificate), trust=stranger) as scene:
        async with scene.client() as client:
            with pytest.raises(trio.BrokenResourceError):
                await client.get("/hello/alice")
        assert "TLS handshake failed: " in str(await scene.rejections.next())


async def test_who_speaks_no_tls_is_rejected(certificate: Path) -> None:
    async with open_front(GREET, tls=tls_context(certificate)) as scene, scene.client() as client:
        await client.say(client.question("GET", "/hello/alice"))
        assert await client.is_hung_up()
        assert "http request" in str(await scene.rejections.next())
        assert not scene.failures


async def test_who_never_shakes_hands_is_hung_up_on(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "HANDSHAKE_SECONDS", 0.1)
    async with open_front(GREET, tls=tls_context(certificate)) as scene, scene.client() as client:
        await client.say(b"\x16\x03\x01")
        assert await client.is_hung_up()
        assert "too long" in str(await scene.rejections.next())


async def test_who_breaks_off_its_handshake_is_gone(
    certificate: Path, trust: ssl.SSLContext
) -> None:
    context = tls_context(certificate)
    async with open_front(GREET, tls=context, trust=trust) as scene:
        for _ in range(5):
            stream = await trio.open_tcp_stream("127.0.0.1", scene.front.port)
            await stream.send_all(b"\x16\x03\x01\x02\x00\x01\x00")
            await stream.aclose()
        await eventually(lambda: scene.front.connections == 0)
        async with scene.client() as client:
            with trio.fail_after(DEADLINE_SECONDS):
                assert (await client.get("/hello/alice")).status == 200
        assert not scene.failures


async def test_too_many_connections_with_tls_are_told_so(
    certificate: Path, trust: ssl.SSLContext
) -> None:
    front = open_front(GREET, tls=tls_context(certificate), trust=trust, max_connections=0)
    async with front as scene, scene.client() as client:
        assert (await client.get("/hello/alice")).status == 503
