"""``kmux shim``: what a kernelspec runs. It stands for the kernel in its frontend's process tree.

The daemon serves on the frontend's ports and has the kernel, which goes on when this process ends,
however it does. Imports little, since there is one for each notebook.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from types import FrameType

import click

from proxy.daemon.vocabulary import ShimRequest
from proxy.errors import KmuxError
from proxy.jupyter import attachment
from proxy.jupyter.attachment import Attachment
from proxy.settings import load

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OVER = b"\0"
"""No signal has this number."""


@click.command("shim", hidden=True, context_settings={"ignore_unknown_options": True})
@click.option("--kernel", help="The kernelspec of the kernel.")
@click.option("--attach", "name", metavar="NAME", help="A session that runs, instead.")
@click.option("-f", "--connection-file", "file", type=click.Path(dir_okay=False), required=True)
@click.argument("kernel_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    kernel: str | None, name: str | None, file: str, kernel_arguments: tuple[str, ...]
) -> None:
    """Be a kernel for a frontend that has made a connection file. Kernelspecs run this.

    \b
    Example (in a kernelspec):
      kmux shim --kernel python3 -f {connection_file}
    """
    signals = _Signals()
    file = os.path.abspath(file)
    settings = load(default_kernel=kernel)
    if name is None and not settings.daemon_execution:
        _run_instead(settings.default_kernel, file, kernel_arguments)
    new = None
    if name is None:
        new = attachment.new_session(
            settings.default_kernel, file, os.environ, os.getcwd(), kernel_arguments
        )
    shim = Attachment(ShimRequest(connection_file=file, owner_pid=_owner_pid(), name=name, new=new))
    shim.open(signals.over)
    _stand(shim, signals)
    if (failure := attachment.failure(shim.outcome)) is not None:
        raise failure
    _exit(attachment.exit_status(shim.outcome))


def _run_instead(kernel: str, file: str, arguments: tuple[str, ...]) -> None:
    """Have the kernel in this process, as the settings want it."""
    command = [sys.executable, "-P", "-m", "proxy", "run", "--kernel", kernel, "-f", file]
    os.execv(sys.executable, [*command, *arguments])  # noqa: S606


class _Signals:
    """What this process is told, on one descriptor: numbers of signals, or that it is over."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _ignore)

    def over(self) -> None:
        os.write(self._write, _OVER)

    def read(self) -> bytes:
        """Wait for one. Returns numbers."""
        return os.read(self.descriptor, 64)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number is in the pipe."""


def _stand(shim: Attachment, signals: _Signals) -> None:
    """Return when it is over, or when this process is to end."""
    waiting = select.poll()
    waiting.register(signals.descriptor, select.POLLIN)
    try:
        parent = _parent()
    except ProcessLookupError:
        return
    if parent is not None:
        waiting.register(parent, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in waiting.poll()]
        if parent in ready:
            return
        for number in signals.read():
            if number == signal.SIGINT:
                with suppress(KmuxError):  # nobody could be told
                    shim.interrupt()
            else:
                return


def _parent() -> int | None:
    """Open the process with which this one ends, as ipykernel does: None where none is named."""
    named = os.environ.get("JPY_PARENT_PID", "")
    return os.pidfd_open(int(named)) if named.isdigit() else None


def _owner_pid() -> int:
    """Return the process that started this one as its kernel."""
    named = os.environ.get("JPY_PARENT_PID", "")
    return int(named) if named.isdigit() else os.getppid()


def _exit(status: int) -> None:
    """End at once: Python's own way out puts the signals' default action back first, and the
    frontend that interrupts its kernel meanwhile would see it killed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
