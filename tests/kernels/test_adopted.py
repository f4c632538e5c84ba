"""Kernels that live on when kmux is gone, and the next kmux that finds them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import psutil
import pytest
import trio

from proxy.kernels import supervisor as module
from proxy.kernels.asyncio_thread import open_asyncio_thread
from proxy.kernels.keeping import KernelDirectory, Launch
from proxy.kernels.process import LaunchOptions
from proxy.kernels.supervisor import Supervisor
from proxy.sockets import SocketSet
from tests.inbox import eventually
from tests.kernels.sink import Sink
from tests.kernels.test_supervisor import ROOT, Life, kernel_gone
from tests.running import Context

Live: TypeAlias = "Callable[..., AbstractAsyncContextManager[Life]]"
LAUNCH = Launch(kernel_name="fake", interrupt_mode="signal", identity="me")


@pytest.fixture
def directory(tmp_path: Path) -> KernelDirectory:
    return KernelDirectory(tmp_path / "session")


@pytest.fixture
def live(
    context: Context,
    sockets: SocketSet,
    directory: KernelDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Live]:
    """Make a supervisor that keeps a fake kernel, or finds one that was kept. None is left."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setattr(module, "SHUTDOWN_GRACE_SECONDS", 1.0)
    spec = {
        "argv": [sys.executable, "-m", "tests.fake_kernel", "{connection_file}"],
        "display_name": "Fake",
        "language": "fake",
    }
    (tmp_path / "kernels" / "fake").mkdir(parents=True)
    (tmp_path / "kernels" / "fake" / "kernel.json").write_text(json.dumps(spec))

    @asynccontextmanager
    async def live(*, adopts: bool = False) -> AsyncIterator[Life]:
        options = LaunchOptions(
            kernel_name="fake",
            connection_file=tmp_path / "unused.json",
            key="a key",
            cwd=str(tmp_path),
            env={"PYTHONPATH": str(ROOT)},
            kept_in=directory,
            identity="me",
        )
        sink = Sink()
        async with open_asyncio_thread() as thread, trio.open_nursery() as nursery:
            life = Life(Supervisor(context, sockets, thread, options, sink, adopts=adopts), sink)
            nursery.start_soon(life.run)
            yield life
            nursery.cancel_scope.cancel()

    yield live
    keeper = directory.keeper_pid()
    if keeper is not None:
        os.killpg(keeper, signal.SIGKILL)


def is_over(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_it_lives_on_when_kmux_is_gone_and_the_next_one_finds_it(
    live: Live, directory: KernelDirectory
) -> None:
    async with live() as life:
        kernel = await life.until_ready()
        assert kernel.pid == directory.pid()
        assert "tests.fake_kernel" in kernel.cmdline()
    assert kernel.is_running()
    async with live(adopts=True) as life:
        assert await life.until_ready() == kernel
        assert life.sink.found == [True]
        life.ask_to_shut_down(restart=False)
        life.supervisor.end()
        assert await life.until_ended() == 0
    assert is_over(kernel)
    assert directory.keeper_pid() is None


async def test_who_leaves_leaves_it(live: Live) -> None:
    async with live() as life:
        kernel = await life.until_ready()
        life.supervisor.leave()
        assert await life.until_ended() is None
    assert kernel.is_running()


async def test_one_that_does_not_end_when_asked_is_made_to(live: Live) -> None:
    async with live() as life:
        kernel = await life.until_ready()
    async with live(adopts=True) as life:
        await life.until_ready()
        life.supervisor.end()  # nobody has sent it a shutdown_request
        assert await life.until_ended() == -signal.SIGTERM
    assert is_over(kernel)


async def test_a_found_one_that_ends_is_told_of_with_its_status(live: Live) -> None:
    async with live() as life:
        await life.until_ready()
    async with live(adopts=True) as life:
        await life.until_ready()
        life.tell("die 7")
        assert await life.sink.died.next() == "the kernel exited with status 7"


@pytest.mark.parametrize(
    ("number", "how"),
    [(signal.SIGKILL, "was killed by SIGKILL"), (signal.SIGTERM, "was killed by SIGTERM")],
)
async def test_how_it_ended_is_known_though_nobody_watched(
    live: Live, directory: KernelDirectory, number: int, how: str
) -> None:
    async with live() as life:
        kernel = await life.until_ready()
    kernel.send_signal(number)
    await eventually(lambda: directory.keeper_pid() is None)
    async with live(adopts=True) as life:
        assert (await life.sink.died.next()).startswith(f"the kernel {how} while kmux was away")
        assert life.sink.for_good == [True]
        life.supervisor.restart()
        assert (await life.until_ready()).pid != kernel.pid


async def test_an_interrupt_reaches_the_kernel_whose_keeper_goes_on(
    live: Live, directory: KernelDirectory
) -> None:
    async with live() as life:
        kernel = await life.until_ready()
    async with live(adopts=True) as life:
        await life.until_ready()
        life.supervisor.signal(signal.SIGINT)
        await eventually(lambda: directory.last_output(1) == ["interrupted"])
        life.supervisor.signal(signal.SIGKILL)
        assert await life.sink.died.next() == "the kernel has ended"  # its keeper went with it
    assert is_over(kernel)
    assert directory.output_file.stat().st_mode & 0o777 == 0o600
    assert directory.last_output(2) == ["serving", "interrupted"]


async def test_one_that_cannot_start_says_why(
    live: Live, directory: KernelDirectory, tmp_path: Path
) -> None:
    spec = tmp_path / "kernels" / "fake" / "kernel.json"
    argv = [sys.executable, "-c", "raise SystemExit('no such luck')", "{connection_file}"]
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "argv": argv}))
    with kernel_gone("'fake' did not start: the kernel exited with status 1: no such luck"):
        async with live() as life:
            await life.ended.wait()
