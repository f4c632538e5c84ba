"""Kernel processes that end, hang, are asked to end, or find their ports taken."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import pytest
import trio

from proxy.errors import KernelGone
from proxy.kernels import supervisor as module
from proxy.kernels.asyncio_thread import open_asyncio_thread
from proxy.kernels.process import LaunchOptions
from proxy.kernels.supervisor import LAUNCHES_FOR_PORTS, Supervisor
from proxy.message import Channel
from proxy.sockets import SocketSet
from tests.inbox import eventually
from tests.kernels.sink import Sink
from tests.messages import cell, request
from tests.running import Context

ROOT = Path(__file__).parents[2]
ALICE = (b"zmq", b"alice")
Live: TypeAlias = "Callable[..., AbstractAsyncContextManager[Life]]"


def kernel_gone(match: str) -> Any:
    return pytest.RaisesGroup(pytest.RaisesExc(KernelGone, match=match), flatten_subgroups=True)


class Life:
    """A supervisor that runs, and how it ended."""

    def __init__(self, supervisor: Supervisor, sink: Sink) -> None:
        self.supervisor = supervisor
        self.sink = sink
        self.status: int | None = None
        self.ended = trio.Event()

    async def run(self) -> None:
        self.status = await self.supervisor.run()
        self.ended.set()

    async def until_ready(self) -> psutil.Process:
        """Wait until the latest kernel answers and is heard on iopub, as a session does.

        One that found a port taken by another process has a successor, which is asked as well.
        """
        await self.sink.launched.next()
        self.sink.published.clear()
        while not self.sink.published:
            self.supervisor.send(Channel.SHELL, ALICE, request("kernel_info"))
            with trio.move_on_after(1):
                await self.sink.sent.next_where(lambda m: m.msg_type == "kernel_info_reply")
        self.sink.was_ready = True
        assert self.supervisor.pid is not None
        return psutil.Process(self.supervisor.pid)

    def tell(self, code: str) -> None:
        self.supervisor.send(Channel.SHELL, ALICE, cell(code))

    def ask_to_shut_down(self, *, restart: bool) -> None:
        ask = request("shutdown", restart=restart)
        self.supervisor.send(Channel.CONTROL, ALICE, ask)

    async def until_ended(self) -> int | None:
        with trio.fail_after(15):
            await self.ended.wait()
        return self.status


@pytest.fixture
def live(
    context: Context, sockets: SocketSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Live:
    """Make a supervisor of a fake kernel that has these oddities, and run it."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setattr(module, "SHUTDOWN_GRACE_SECONDS", 1.0)

    @asynccontextmanager
    async def live(*oddities: str, argv: list[str] | None = None) -> AsyncIterator[Life]:
        fake = [sys.executable, "-m", "tests.fake_kernel", "{connection_file}", *oddities]
        spec = {"argv": argv or fake, "display_name": "Fake", "language": "fake"}
        directory = tmp_path / "kernels" / "fake"
        directory.mkdir(parents=True)
        (directory / "kernel.json").write_text(json.dumps(spec))
        options = LaunchOptions(
            kernel_name="fake",
            connection_file=tmp_path / "kernel.json",
            key="a key",
            cwd=str(tmp_path),
            env={"PYTHONPATH": str(ROOT)},
        )
        sink = Sink()
        async with open_asyncio_thread() as thread, trio.open_nursery() as nursery:
            life = Life(Supervisor(context, sockets, thread, options, sink), sink)
            nursery.start_soon(life.run)
            yield life
            nursery.cancel_scope.cancel()

    return live


async def test_one_that_ends_on_its_own_is_told_of_with_its_status(live: Live) -> None:
    async with live() as life:
        await life.until_ready()
        life.tell("die 7")
        assert await life.sink.died.next() == "the kernel exited with status 7"
        life.supervisor.end()
        assert await life.until_ended() == 7


async def test_one_that_is_killed_is_told_of_and_another_launched_when_asked(live: Live) -> None:
    async with live() as life:
        first = await life.until_ready()
        first.send_signal(signal.SIGKILL)
        assert await life.sink.died.next() == "the kernel was killed by SIGKILL"
        assert life.supervisor.pid is None
        life.supervisor.restart()
        second = await life.until_ready()
        assert second.pid != first.pid


async def test_one_that_was_asked_to_end_does_so_by_itself(live: Live) -> None:
    async with live() as life:
        kernel = await life.until_ready()
        life.ask_to_shut_down(restart=False)
        life.supervisor.end()
        assert await life.until_ended() == 0
        assert not kernel.is_running()
        assert life.sink.died.items == []
        assert any(m.msg_type == "shutdown_reply" for m in life.sink.sent.items)


@pytest.mark.parametrize(
    ("oddities", "status"), [((), -signal.SIGTERM), (("ignores_sigterm",), -signal.SIGKILL)]
)
async def test_one_that_does_not_listen_is_made_to_end(
    live: Live, oddities: tuple[str, ...], status: int
) -> None:
    async with live(*oddities) as life:
        await life.until_ready()
        life.tell("print asleep\nsleep 600")
        await life.sink.sent.next_where(lambda m: m.msg_type == "stream")
        life.ask_to_shut_down(restart=False)
        life.supervisor.end()
        assert await life.until_ended() == status
        assert life.sink.died.items == []


async def test_a_restart_has_another_process_and_no_death(live: Live) -> None:
    async with live() as life:
        first = await life.until_ready()
        life.ask_to_shut_down(restart=True)
        life.supervisor.restart()
        second = await life.until_ready()
        assert first.pid != second.pid
        assert not first.is_running()
        assert life.sink.died.items == []


async def test_a_signal_reaches_it(live: Live, capfd: pytest.CaptureFixture[str]) -> None:
    async with live() as life:
        await life.until_ready()
        life.supervisor.signal(signal.SIGTERM)
        assert await life.sink.died.next() == "the kernel was killed by SIGTERM"
        life.supervisor.signal(signal.SIGTERM)  # to nobody


async def test_when_cancelled_it_is_killed(live: Live) -> None:
    async with live("ignores_sigterm") as life:
        kernel = await life.until_ready()
    assert not kernel.is_running()


async def test_one_that_ends_before_it_was_ready_says_its_last_words(live: Live) -> None:
    with kernel_gone("status 3: loading; No module"):
        async with live("is_stillborn") as life:
            await life.ended.wait()


async def test_one_that_is_no_program_cannot_be_started(live: Live) -> None:
    with kernel_gone("cannot be started: .*no-such"):
        async with live(argv=["no-such-program"]) as life:
            await life.ended.wait()


async def test_one_that_finds_a_port_taken_is_launched_again_on_others(live: Live) -> None:
    """ipykernel writes a traceback, lives on, and serves nobody."""
    async with live("is_unlucky") as life:
        await life.sink.launched.next()
        first = psutil.Process(life.supervisor.pid)
        await life.until_ready()
        assert life.sink.died.items == []
        assert not first.is_running()


async def test_until_it_is_clear_that_this_does_not_help(live: Live) -> None:
    taken = "print('Address already in use', flush=True); raise SystemExit(1)"
    with kernel_gone("Address already in use"):
        async with live(argv=[sys.executable, "-c", taken]) as life:
            await life.ended.wait()
    assert len(life.sink.launched) == 1 + LAUNCHES_FOR_PORTS


async def test_a_cell_that_prints_the_like_is_none_of_that(live: Live) -> None:
    async with live() as life:
        kernel = await life.until_ready()
        life.tell("say Address already in use\nprint done")
        await life.sink.sent.next_where(lambda m: m.msg_type == "stream")
        life.tell("die 7")
        assert await life.sink.died.next() == "the kernel exited with status 7"
        assert len(life.sink.launched) == 1
        await eventually(lambda: not kernel.is_running())
