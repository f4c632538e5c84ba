"""Whether kernels run that no session has: nobody would ever find or end them.

A kernel's keeper has the session's directory in its command line (``kernels/keeping.py``). It is
certain to be ours, and of no use to anybody, where the whole line is as this kmux writes it and
the directory is gone.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from proxy.doctor import processes
from proxy.doctor.findings import Finding, error, ok
from proxy.doctor.processes import Process
from proxy.doctor.surroundings import Surroundings
from proxy.errors import KernelGone
from proxy.kernels.keeping import KernelDirectory

END_SECONDS = 2.5
"""From SIGTERM to SIGKILL, and from that to the end, as the daemon does it."""
_NAME, _DIRECTORY = 3, 4
"""Where in a keeper's command line its name is, and its directory."""


def check(surroundings: Surroundings) -> list[Finding]:
    """Look for keepers in the table of processes."""
    if surroundings.data is None:
        return []
    sessions = surroundings.data / "sessions"
    found = []
    for process in surroundings.processes:
        directory = kept_in(process, sessions)
        if directory is not None and directory.keeper_pid() != process.pid:
            found.append(_orphan(process, directory))
    return found or [ok("no kernel runs without a session")]


def kept_in(process: Process, sessions: Path) -> KernelDirectory | None:
    """Return the directory of a keeper of these sessions; None for any other process."""
    arguments = process.arguments
    marks = KernelDirectory(Path()).command()
    if len(arguments) <= _DIRECTORY or arguments[_NAME] != marks[_NAME]:
        return None
    path = Path(arguments[_DIRECTORY])
    return KernelDirectory(path) if path.parent.resolve() == sessions.resolve() else None


def _orphan(process: Process, directory: KernelDirectory) -> Finding:
    pid = process.pid
    kernel = " ".join(process.arguments[_DIRECTORY + 1 :])[: processes.SHOWN_CHARACTERS]
    what = f"a kernel runs that no session has: process {pid} ({kernel})"
    advice = f"end it: kill -TERM -- -{pid}"
    if is_certain(process, directory):
        return error(
            f"{what}; its session's directory is gone",
            "kmux doctor --fix ends it",
            lambda: end(process, directory),
        )
    return error(what, f"look what it is; {advice}")


def is_certain(process: Process, directory: KernelDirectory) -> bool:
    """Whether it is a keeper of ours, and can be of no use to anybody."""
    ours = directory.command()
    is_ours = process.arguments[: len(ours)] == tuple(ours)
    return is_ours and processes.sees(process.pid, directory.path) is False


def end(process: Process, directory: KernelDirectory) -> str:
    """End a keeper and its kernel. Raises :class:`KernelGone` where it may be of use by now, or
    does not end, and OSError."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return "nothing: it has ended by now"
    try:
        if not processes.lives(process):
            return "nothing: it has ended by now"
        if not is_certain(process, directory):
            raise KernelGone(f"process {process.pid} is not what it was")
        if os.getpgid(process.pid) != process.pid:
            raise KernelGone(
                f"process {process.pid} has no process group of its own; end it yourself"
            )
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if select.select([descriptor], [], [], END_SECONDS)[0]:
                return f"ended process {process.pid}, by {number.name}"
    finally:
        os.close(descriptor)
    raise KernelGone(f"process {process.pid} does not end")
