"""A kernel of an earlier kmux, which lives on: found by its traces, watched, signalled, ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import trio

from proxy.errors import KernelGone
from proxy.kernels.keeping import KernelDirectory
from proxy.wire.connection import ConnectionInfo


class AdoptedProcess:
    """A running kernel that another process has launched. As :class:`process.KernelProcess`."""

    def __init__(self, directory: KernelDirectory, keeper_pid: int, interrupt_mode: str) -> None:
        self.pid = directory.pid() or keeper_pid
        self.info: ConnectionInfo = directory.info()
        self.interrupt_mode = interrupt_mode
        self._directory = directory
        self._group = keeper_pid
        self._keeper = os.pidfd_open(keeper_pid)

    async def wait(self) -> int | None:
        """Wait for it to end. Returns its exit status, where its keeper has written that down."""
        await trio.lowlevel.wait_readable(self._keeper)
        return self._directory.exit_status()

    def signal_now(self, number: int) -> bool:
        """Send a signal to the process group. Returns whether there is one."""
        try:
            signal.pidfd_send_signal(self._keeper, 0)  # the number may be another's by now
            os.killpg(self._group, number)
        except OSError:
            return False
        return True

    async def signal(self, number: int) -> None:
        """Send a signal to the process group. It is no error if the process has ended."""
        self.signal_now(number)

    async def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.signal_now(signal.SIGTERM)

    async def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.signal_now(signal.SIGKILL)

    async def cleanup(self) -> None:
        """Forget it once it has ended."""
        self.release()

    def release(self) -> None:
        """Let go of it; it lives on."""
        with suppress(OSError):
            os.close(self._keeper)


def adopt(directory: KernelDirectory) -> AdoptedProcess:
    """Find the kernel that was launched into this directory.

    Raises :class:`KernelGone`, with how it ended, where it does not run any more, and
    :class:`ConfigError` where its connection file is no good.
    """
    launch, keeper = directory.launch(), directory.keeper_pid()
    if launch is None:
        raise KernelGone("no kernel was launched")
    if keeper is None:
        raise KernelGone(_end(directory))
    try:
        return AdoptedProcess(directory, keeper, launch.interrupt_mode)
    except ProcessLookupError:
        raise KernelGone(_end(directory)) from None


def _end(directory: KernelDirectory) -> str:
    """Say how a kernel ended that nobody watched."""
    status = directory.exit_status()
    how = "the kernel ended" if status is None else ending(status)
    said = "; ".join(directory.last_output(1))
    return f"{how} while kmux was away" + (f": {said}" if said else "")


def ending(status: int | None) -> str:
    """Say how a process ended."""
    if status is None:
        return "the kernel has ended"
    if status < 0:
        try:
            return f"the kernel was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"the kernel was killed by signal {-status}"
    return f"the kernel exited with status {status}"
