"""The HTTP front on a Unix socket: whose processes may come in. The place: test_unix_socket."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio

from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.endpoints.unix_front import UnixFront
from proxy.errors import ConfigError
from tests.endpoints.http_client import ECHO, GREET, open_front
from tests.inbox import Inbox, eventually


@pytest.fixture
def path(private: Path) -> Path:
    return private / "kmux.sock"


async def test_nothing_is_asked_of_who_could_connect(path: Path) -> None:
    """Neither a token nor a host: no page of a browser gets here."""
    async with open_front(GREET, path=path) as scene, scene.client() as client:
        for headers in ({}, {"host": "evil.example"}, {"origin": "https://evil.example"}):
            answer = await client.get("/hello/alice", **({"authorization": ""} | headers))
            assert answer.status == 200
            assert "access-control-allow-origin" not in answer.headers
        answer = await client.ask(
            "OPTIONS", "/hello/alice", origin="null", access_control_request_method="GET"
        )
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS", "no preflight, but a question"


async def test_who_asks_is_known(path: Path) -> None:
    async def tell(request: Request) -> Response:
        return json_response(request.peer_pid)

    tells = Route(method="GET", path="/", answer=tell)
    program = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'GET / HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n')\n"
        "said = b''.join(iter(lambda: s.recv(1000), b''))\n"
        "assert said.endswith(b'\\r\\n\\r\\n%d' % os.getpid()), said\n"
    )
    async with open_front(tells, path=path) as scene, scene.client() as client:
        assert (await client.get("/")).body == b"%d" % os.getpid()
        await trio.run_process([sys.executable, "-c", program, str(path)])
    async with open_front(tells) as scene, scene.client() as client:
        assert (await client.get("/")).body == b"null", "nobody knows it of a port"


async def test_a_websocket_over_a_unix_socket(path: Path) -> None:
    async with open_front(ECHO, path=path) as scene, scene.client() as client:
        await client.become_a_websocket("/talk")
        await client.say(b"\x82\x82\x00\x00\x00\x00hi")
        assert await client.hear(b"hi") == b"\x82\x02hi"


async def test_another_users_process_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As seen by a front that is somebody else's. test_peers has who is whose."""
    async with open_front(GREET, path=path) as scene, scene.client() as client:
        monkeypatch.setattr("proxy.endpoints.peers.Peer.may_come_in", False)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert answer.error[0] == "this socket is another user's"
        await client.stream.aclose()
        assert f"user {os.getuid()} " in str(await scene.rejections.next())


AS_NOBODY = """
import os, socket, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except PermissionError:
    print("no")
else:
    print(client.recv(1000).split(b" ")[1].decode())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_a_process_that_is_really_another_users_is_refused(path: Path) -> None:
    """The modes keep it away, and if somebody loosens those, the uid does."""
    command = [sys.executable, "-c", AS_NOBODY, str(path)]
    async with open_front(GREET, path=path) as scene:
        assert (await trio.run_process(command, capture_stdout=True)).stdout == b"no\n"
        for each, mode in ((path, 0o666), (path.parent, 0o711)):
            await trio.Path(each).chmod(mode)
        assert (await trio.run_process(command, capture_stdout=True)).stdout == b"403\n"
        assert "user 65534 " in str(await scene.rejections.next())


async def test_the_socket_goes_with_the_front(path: Path) -> None:
    for _ in range(3):
        async with open_front(GREET, path=path) as scene, scene.client() as client:
            assert (await client.get("/hello/alice")).status == 200
            with pytest.raises(ConfigError, match="somebody listens"):
                await UnixFront([], scene, path=path).serve()
            assert (await client.get("/hello/alice")).status == 200
        assert not await trio.Path(path).exists()


# One table, two places


async def test_a_port_and_a_socket_have_one_table(path: Path) -> None:
    asked: Inbox[int | None] = Inbox()

    async def note(request: Request) -> Response:
        asked.put(request.peer_pid)
        return Response(status=204)

    table = [Route(method="POST", path="/note", answer=note)]
    async with open_front(*table) as port, open_front(*table, path=path) as unix:
        async with port.client() as stranger, unix.client() as owner:
            assert (await stranger.ask("POST", "/note", authorization="")).status == 403
            assert (await owner.ask("POST", "/note", authorization="")).status == 204
            assert (await stranger.ask("POST", "/note")).status == 204
        await eventually(lambda: port.front.connections + unix.front.connections == 0)
    assert asked.items == [os.getpid(), None]
