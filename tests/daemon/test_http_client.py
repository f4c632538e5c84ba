"""The client for commands, with a real front: over a Unix socket, without an event loop."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.daemon import http_client
from proxy.daemon.http_client import DaemonClient
from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.errors import (
    ClientProtocolError,
    ConfigError,
    Conflict,
    DaemonGone,
    DaemonSilent,
    DiskFull,
    InternalError,
    KernelGone,
    KmuxError,
    NotFound,
    StoreError,
)
from tests.endpoints.http_client import open_front
from tests.inbox import Inbox, eventually

T = TypeVar("T")


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        yield Path(directory) / "kmux.sock"


class Kernel(msgspec.Struct):
    name: str
    cells: list[int] = []


class Change(msgspec.Struct):
    number: int
    text: str = ""


async def start(request: Request) -> Response:
    wish = request.read(Kernel)
    return json_response(Kernel(wish.name, [*wish.cells, 3]), status=201)


async def remove(request: Request) -> Response:
    return Response(status=204)


START = Route(method="POST", path="/kernels", answer=start)
REMOVE = Route(method="DELETE", path="/kernels/{name}", answer=remove)


async def ask(function: Callable[[], T]) -> T:
    """Call what waits, beside the front."""
    return await trio.to_thread.run_sync(function)


# Answers


async def test_a_struct_is_sent_and_a_struct_comes_back(path: Path) -> None:
    async with open_front(START, REMOVE, path=path):
        client = DaemonClient(path)
        for name in ("grün", "x" * 500_000):
            wish = Kernel(name, [1, 2])
            made = await ask(partial(client.request, "POST", "/kernels", wish, into=Kernel))
            assert made == Kernel(name, [1, 2, 3])
        assert await ask(partial(client.request, "DELETE", "/kernels/x", into=type(None))) is None


@pytest.mark.parametrize(
    "error",
    [
        ClientProtocolError("it has no name"),
        ConfigError('choose "another" name, grün'),
        NotFound("there is no such kernel; kmux ps lists them"),
        Conflict("it is starting"),
        KernelGone("it died"),
        StoreError("the blob is damaged"),
        DiskFull("free some space"),
        KmuxError("something"),
    ],
)
async def test_what_is_raised_there_is_raised_here(path: Path, error: KmuxError) -> None:
    async def stumble(request: Request) -> Response:
        raise error

    async with open_front(Route(method="GET", path="/", answer=stumble), path=path):
        with pytest.raises(KmuxError) as raised:
            await ask(partial(DaemonClient(path).request, "GET", "/", into=Kernel))
        assert type(raised.value) is type(error)
        assert str(raised.value) == str(error)


async def test_a_bug_there_is_a_bug_here(path: Path) -> None:
    async def stumble(request: Request) -> Response:
        raise ZeroDivisionError

    async with open_front(Route(method="GET", path="/", answer=stumble), path=path):
        with pytest.raises(InternalError, match="the log has what"):
            await ask(partial(DaemonClient(path).request, "GET", "/", into=Kernel))


async def test_what_the_front_refuses_is_told(path: Path) -> None:
    async with open_front(START, path=path, max_connections=1) as scene:
        client = DaemonClient(path)
        with pytest.raises(ConfigError, match="nothing at this path"):
            await ask(partial(client.request, "GET", "/nothing", into=Kernel))
        with pytest.raises(ConfigError, match="this path takes POST"):
            await ask(partial(client.request, "PUT", "/kernels", into=Kernel))
        with pytest.raises(ClientProtocolError, match="missing required field `name`"):
            await ask(partial(client.request, "POST", "/kernels", into=Kernel))
        wish = Kernel("x" * 3_000_000)  # the front does not read all of it
        with pytest.raises(ClientProtocolError, match="too large"):
            await ask(partial(client.request, "POST", "/kernels", wish, into=Kernel))
        await eventually(lambda: scene.front.connections == 0)
        async with scene.client() as other:
            assert (await other.get("/kernels")).status == 405
            with pytest.raises(KmuxError, match="too many connections"):
                await ask(partial(client.request, "GET", "/kernels", into=Kernel))


async def test_an_answer_that_is_something_else_says_what_to_do(path: Path) -> None:
    wish = Kernel("x")
    async with open_front(START, path=path):
        with pytest.raises(ConfigError, match="of another version of kmux, restart it"):
            await ask(partial(DaemonClient(path).request, "POST", "/kernels", wish, into=Change))


# Nobody there


def test_where_nobody_listens_the_daemon_is_gone(path: Path) -> None:
    with pytest.raises(DaemonGone, match=f"no daemon listens on {path}"):
        DaemonClient(path).request("GET", "/", into=Kernel)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(DaemonGone):
        DaemonClient(path).request("GET", "/", into=Kernel)
    with pytest.raises(DaemonGone), DaemonClient(path).lines("GET", "/", into=Kernel):
        pass
    assert path.exists(), "it is not the client's to remove"


SOMEBODY_ELSE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
listener.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_socket_on_which_somebody_else_listens_is_told(path: Path) -> None:
    """It got there while others could write into the directory."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    with subprocess.Popen(
        [sys.executable, "-c", SOMEBODY_ELSE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        said = rf"^another user \(65534\) listens on {path}; remove it$"
        with pytest.raises(ConfigError, match=said):
            DaemonClient(path).request("GET", "/", into=Kernel)
        other.stdin.close()


def test_a_path_where_none_can_be_is_told(path: Path) -> None:
    with pytest.raises(ConfigError, match="too long"):
        DaemonClient(path / ("x" * 100)).request("GET", "/", into=Kernel)


@contextmanager
def answering(path: Path, answer: bytes, *, hangs_up: bool = True) -> Iterator[None]:
    """A daemon that says this to whoever asks, and hangs up or does not."""
    stop = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            if not hangs_up:
                stop.wait()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 2", HEAD, HEAD + b'{"name"', b"hello\r\n\r\n", b"\x00" * 100]
)
def test_who_breaks_off_has_not_answered(path: Path, said: bytes) -> None:
    """What was asked may be done all the same: this is no reason to start another daemon."""
    with answering(path, said), pytest.raises(DaemonSilent):
        DaemonClient(path).request("GET", "/", into=Kernel)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, HEAD + b"{"])
def test_who_takes_too_long_has_not_answered(path: Path, said: bytes) -> None:
    began = time.monotonic()
    with answering(path, said, hangs_up=False), pytest.raises(DaemonSilent, match="in time"):
        DaemonClient(path).request("GET", "/", into=Kernel, timeout=0.2)
    assert 0.1 < time.monotonic() - began < 10


def test_an_error_without_a_line_is_one_all_the_same(path: Path) -> None:
    said = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<html"
    with answering(path, said), pytest.raises(KmuxError, match="answered with status 502"):
        DaemonClient(path).request("GET", "/", into=Kernel)


def test_who_does_not_read_all_of_it_may_have_said_why(path: Path) -> None:
    said = b'HTTP/1.1 409 Conflict\r\n\r\n{"message": "not now", "reason": "Conflict"}'
    with answering(path, said), pytest.raises(Conflict, match="not now"):
        DaemonClient(path).request("POST", "/", Kernel("x" * 10_000_000), into=Kernel)


def test_an_answer_without_end_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_ANSWER_BYTES", 1000)
    said = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001
    with answering(path, said), pytest.raises(KmuxError, match="more than 1000 bytes"):
        DaemonClient(path).request("GET", "/", into=Kernel)


def test_where_too_many_wait_to_connect_the_client_waits_too(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.connect(str(path))
            with pytest.raises(DaemonSilent, match="in time"):
                DaemonClient(path).request("GET", "/", into=Kernel, timeout=0.2)


# Lines


class Changes:
    """A route that tells of changes, for as long as somebody listens."""

    def __init__(self) -> None:
        self.changes: Inbox[bytes] = Inbox()
        self.listeners = 0
        self.route = Route(method="GET", path="/changes", answer=self.answer)

    async def answer(self, request: Request) -> Response:
        return Response(body=self.tell())

    async def tell(self) -> AsyncIterator[bytes]:
        self.listeners += 1
        try:
            while change := await self.changes.next(seconds=1000):
                yield change
        finally:
            self.listeners -= 1


async def test_lines_come_as_they_are_told(path: Path) -> None:
    changes = Changes()
    heard: Inbox[Change] = Inbox()

    def listen(token: trio.lowlevel.TrioToken) -> None:
        with DaemonClient(path).lines("GET", "/changes", into=Change) as lines:
            for line in lines:
                token.run_sync_soon(heard.put, line)

    async with open_front(changes.route, path=path), trio.open_nursery() as nursery:
        nursery.start_soon(ask, partial(listen, trio.lowlevel.current_trio_token()))
        for number in range(3):
            changes.changes.put(b'{"number":%d}\n' % number)
            assert await heard.next() == Change(number), "before the next one is told"
        changes.changes.put(b"\n")  # a sign of life
        changes.changes.put(b'{"number":3}\n{"number":4}\n{"num')
        changes.changes.put(b'ber":5}')
        changes.changes.put(b"")
        assert [(await heard.next()).number for _ in range(3)] == [3, 4, 5]
    assert changes.listeners == 0


async def test_who_has_heard_enough_hangs_up_at_once(path: Path) -> None:
    changes = Changes()

    def listen() -> Change:
        with DaemonClient(path).lines("GET", "/changes", into=Change) as lines:
            return next(lines)

    async with open_front(changes.route, path=path) as scene:
        for number in range(3):
            changes.changes.put(b'{"number":%d}\n' % number)
            assert await ask(listen) == Change(number)
            await eventually(lambda: (changes.listeners, scene.front.connections) == (0, 0))
        assert not scene.rejections
        assert not scene.failures


async def test_lines_may_be_waited_for_as_long_as_it_takes(path: Path) -> None:
    """The time is for the beginning only."""
    changes = Changes()

    def listen() -> Change:
        with DaemonClient(path).lines("GET", "/changes", into=Change, timeout=1) as lines:
            return next(lines)

    async def tell() -> None:
        await eventually(lambda: changes.listeners == 1)
        await trio.sleep(1.5)
        changes.changes.put(b'{"number":1}\n')

    async with open_front(changes.route, path=path), trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        assert await ask(listen) == Change(1)


async def test_a_stream_that_breaks_off_has_no_end(path: Path) -> None:
    changes = Changes()
    heard: Inbox[Change | DaemonSilent] = Inbox()

    def listen(token: trio.lowlevel.TrioToken) -> None:
        with DaemonClient(path).lines("GET", "/changes", into=Change) as lines:
            try:
                for line in lines:
                    token.run_sync_soon(heard.put, line)
            except DaemonSilent as error:
                token.run_sync_soon(heard.put, error)

    async with trio.open_nursery() as nursery:
        async with open_front(changes.route, path=path):
            nursery.start_soon(ask, partial(listen, trio.lowlevel.current_trio_token()))
            changes.changes.put(b'{"number":1}\n')
            assert await heard.next() == Change(1)
        assert isinstance(await heard.next(), DaemonSilent)


async def test_what_is_raised_before_the_first_line_is_raised_here(path: Path) -> None:
    async def refuse(request: Request) -> Response:
        raise NotFound("there is no such log")

    async with open_front(Route(method="GET", path="/changes", answer=refuse), path=path):

        def listen() -> None:
            with DaemonClient(path).lines("GET", "/changes", into=Change):
                raise AssertionError

        with pytest.raises(NotFound, match="there is no such log"):
            await ask(listen)


def test_a_line_without_end_is_not_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_LINE_BYTES", 1000)
    said = b'HTTP/1.1 200 OK\r\n\r\n{"number":1}\n' + b"x" * 1001
    with (
        answering(path, said),
        DaemonClient(path).lines("GET", "/", into=Change) as lines,
    ):
        assert next(lines) == Change(1)
        with pytest.raises(KmuxError, match="more than 1000 bytes"):
            next(lines)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=50), max_size=8), st.data())
async def test_it_does_not_matter_how_lines_are_cut(texts: list[str], data: st.DataObject) -> None:
    told = [Change(number, text) for number, text in enumerate(texts)]
    content = b"".join(msgspec.json.encode(change) + b"\n" for change in told)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=10)))

    async def tell() -> AsyncIterator[bytes]:
        for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            yield content[begin:end]

    async def answer(request: Request) -> Response:
        return Response(body=tell())

    def listen() -> list[Change]:
        with DaemonClient(path).lines("GET", "/", into=Change) as lines:
            return list(lines)

    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        path = Path(directory) / "s"
        async with open_front(Route(method="GET", path="/", answer=answer), path=path):
            assert await ask(listen) == told


# What it costs


def test_it_is_light() -> None:
    """Commands import it, and are to be there at once: it took 14 ms, http.client 19."""
    program = "import proxy.daemon.http_client, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "h11" in loaded
    heavy = {"trio", "zmq", "automerge", "structlog", "asyncio", "ssl", "http", "email", "rich"}
    assert loaded & heavy == set()
