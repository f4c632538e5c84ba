"""Who has the ports of a frontend's file, and until when. Real kernels, ports and sessions, in this
process; what frontends see of it is in tests/cli/test_shim.py.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from jupyter_client.connect import write_connection_file

from proxy.daemon.sessions import Sessions
from proxy.daemon.shims import KEEP_SECONDS, Shim, Shims
from proxy.daemon.vocabulary import NewSession, ShimNews, ShimRequest
from proxy.errors import Conflict, NotFound
from proxy.hosting import open_host
from proxy.settings import Settings
from tests.frontends.kmux_process import Workplace

NOTEBOOK = "/somewhere/work.ipynb"


@asynccontextmanager
async def no_daemon() -> AsyncIterator[Shims]:
    """A daemon's shims and sessions, without its socket; all ends with the block."""
    async with open_host() as host, trio.open_nursery() as nursery:
        sessions = Sessions(host, Settings(record=False), {})
        await nursery.start(sessions.run)
        try:
            yield Shims(sessions)
        finally:
            with trio.CancelScope(shield=True):
                await sessions.stop_all()
        nursery.cancel_scope.cancel()


@pytest.fixture
async def shims(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shims]:
    for name in ("HOME", "JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "KMUX_RUNTIME_DIR"):
        monkeypatch.setenv(name, workplace.environment[name])
    monkeypatch.setenv("KMUX_DATA_DIR", workplace.environment["KMUX_DATA_DIR"])
    async with no_daemon() as shims:
        yield shims


@pytest.fixture
def file(workplace: Workplace) -> Path:
    """A frontend's connection file."""
    file = workplace.root / "runtime" / "kernel-of-a-frontend.json"
    write_connection_file(str(file), ip="127.0.0.1", key=b"a key")
    return file


def wish(file: Path, notebook: str | None = NOTEBOOK, kernel: str = "python3") -> ShimRequest:
    return ShimRequest(
        connection_file=str(file),
        owner_pid=os.getpid(),
        new=NewSession(kernel=kernel, notebook=notebook, find=True),
    )


def again(file: Path) -> ShimRequest:
    """What a shim asks the next daemon for."""
    return ShimRequest(connection_file=str(file), owner_pid=os.getpid())


async def heard(shim: Shim) -> ShimNews:
    with trio.fail_after(20):
        return msgspec.json.decode(await anext(shim), type=ShimNews)


async def is_over(shim: Shim) -> bool:
    with trio.fail_after(5):
        return [line async for line in shim] == []


def are_served(file: Path) -> bool:
    port = msgspec.json.decode(file.read_bytes())["shell_port"]
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def are_free(file: Path) -> None:
    with trio.fail_after(5):
        while are_served(file):
            await trio.sleep(0.01)


async def test_ports_are_taken_away_when_the_shim_hangs_up(shims: Shims, file: Path) -> None:
    shim = await shims.attach(wish(file))
    assert (await heard(shim)).event == "attached"
    assert are_served(file)
    await shim.aclose()
    await are_free(file)
    assert shim.live.ports.shims() == []
    unread = await shims.attach(wish(file))  # one that hangs up before it has read anything
    assert are_served(file)
    await unread.aclose()
    await are_free(file)


async def test_or_when_its_frontend_says_goodbye(shims: Shims, file: Path) -> None:
    shim = await shims.attach(wish(file))
    await heard(shim)
    shim.parted("goodbye")
    shim.parted("goodbye")  # said once
    assert (await heard(shim)).event == "goodbye"
    assert await is_over(shim)
    await shim.aclose()
    await are_free(file)


async def test_they_are_kept_for_a_restart_as_long_as_that_may_take(
    shims: Shims, file: Path
) -> None:
    shim = await shims.attach(wish(file))
    await heard(shim)
    shim.parted("restart")
    assert (await heard(shim)).event == "restart"
    await shim.aclose()
    now = time.time()
    shims.release_forsaken(now + KEEP_SECONDS - 1)
    assert are_served(file)
    with socket.create_connection(("127.0.0.1", _port(file))) as frontend:
        successor = await shims.attach(wish(file))
        assert successor.live is shim.live
        shims.release_forsaken(now + 2 * KEEP_SECONDS)
        frontend.settimeout(5)
        assert frontend.recv(1) == b"\xff", "libzmq's greeting: nobody was disconnected"
    successor.parted("restart")
    await successor.aclose()
    shims.release_forsaken(time.time() + KEEP_SECONDS + 1)
    await are_free(file)
    shims.release_forsaken(time.time() + 2 * KEEP_SECONDS)


def _port(file: Path) -> int:
    port: int = msgspec.json.decode(file.read_bytes())["shell_port"]
    return port


async def test_the_later_of_two_has_them(shims: Shims, file: Path) -> None:
    first = await shims.attach(wish(file))
    await heard(first)
    second = await shims.attach(wish(file))
    assert (await heard(first)).event == "replaced"
    assert await is_over(first)
    await first.aclose()
    assert are_served(file)
    shims.interrupt(str(file))  # it is asked by the file
    await second.aclose()
    await are_free(file)
    with pytest.raises(NotFound):
        shims.interrupt(str(file))


async def test_also_where_it_wants_another_session(shims: Shims, file: Path) -> None:
    first = await shims.attach(wish(file))
    other, _ = await shims._sessions.begin(NewSession(kernel="python3", name="other"))
    second = await shims.attach(
        ShimRequest(connection_file=str(file), owner_pid=os.getpid(), name="other")
    )
    assert second.live is other
    assert first.live.ports.shims() == []
    assert are_served(file)


async def test_a_port_that_is_given_back_a_moment_later(shims: Shims, file: Path) -> None:
    with socket.create_server(("127.0.0.1", _port(file))) as taken:
        async with trio.open_nursery() as nursery:
            attached: list[Shim] = []

            async def attach() -> None:
                attached.append(await shims.attach(wish(file)))

            nursery.start_soon(attach)
            await trio.sleep(0.2)
            assert not attached
            taken.close()
    assert are_served(file)


async def test_a_port_that_stays_taken(
    shims: Shims, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.daemon.shims.PORTS_SECONDS", 0.1)
    with (
        socket.create_server(("127.0.0.1", _port(file))),
        pytest.raises(Conflict, match="Address already in use"),
    ):
        await shims.attach(wish(file))
    with trio.fail_after(20):
        while shims._sessions.all():  # what was begun for it
            await trio.sleep(0.01)
    live = (await shims.attach(wish(file))).live
    other = file.with_name("of-another-frontend.json")
    write_connection_file(str(other), ip="127.0.0.1", key=b"a key")
    with (
        socket.create_server(("127.0.0.1", _port(other))),
        pytest.raises(Conflict, match="Address already in use"),
    ):
        await shims.attach(wish(other))
    assert shims._sessions.all() == [live], "it was not begun for this one"


async def test_a_daemon_that_ends_tells_all_and_leaves_word_for_the_next_one(
    shims: Shims, file: Path
) -> None:
    shim = await shims.attach(wish(file))
    await heard(shim)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shims.end)
        assert (await heard(shim)).event == "moving"
        await shim.aclose()
    (kept,) = shim.live.directory.read().endpoints[1:]
    assert (kept.kind, kept.file, kept.owner_pid) == ("shim", str(file), os.getpid())
    await trio.Path(file).unlink()  # the frontend's, which may be tidy
    successor = await shims.attach(again(file))
    assert successor.live is shim.live
    with pytest.raises(NotFound, match="the session has ended"):
        await shims.attach(again(file.with_name("another.json")))


async def test_a_session_that_ends_says_how(shims: Shims, file: Path, workplace: Workplace) -> None:
    shim = await shims.attach(wish(file))
    await heard(shim)
    await shims._sessions.stop("work")
    last = await heard(shim)
    assert (last.event, last.problem) == ("ended", "")
    await shim.aclose()
    with pytest.raises(NotFound):
        await shims.attach(again(file))
    workplace.kernelspec("broken", [sys.executable, "-c", "import sys; sys.exit('no luck')"], "x")
    shim = await shims.attach(wish(file, kernel="broken"))
    assert (await heard(shim)).event == "attached", "before that is known"
    last = await heard(shim)
    assert (last.event, last.reason) == ("ended", "KernelGone")
    assert "no luck" in last.problem
    await shim.aclose()


async def test_which_session_a_file_stands_for(shims: Shims, file: Path) -> None:
    shim = await shims.attach(wish(file))
    live = shim.live
    renamed = await shims.attach(wish(file, notebook="/somewhere/renamed.ipynb"))
    assert renamed.live is live, "it is served: the notebook was renamed"
    assert live.state.notebook == "/somewhere/renamed.ipynb"
    await shim.aclose()
    await renamed.aclose()
    killed = await shims.attach(wish(file, notebook="/somewhere/renamed.ipynb"))
    assert killed.live is live, "its shim was killed"
    await killed.aclose()
    elsewhere = await shims.attach(wish(file, notebook=None))
    assert elsewhere.live is not live
    elsewhere.parted("goodbye")
    await elsewhere.aclose()
    fresh = await shims.attach(wish(file, notebook=None))
    assert fresh.live is not elsewhere.live, "who said goodbye begins anew"
