"""Whether the daemon runs, answers, is the one that these commands mean, and of their version."""

from __future__ import annotations

import os
from pathlib import Path

from proxy import __version__
from proxy.daemon.vocabulary import DaemonStatus
from proxy.doctor import processes
from proxy.doctor.findings import Finding, error, of_error, ok, some, warning
from proxy.doctor.surroundings import Surroundings, listening_pid
from proxy.errors import DaemonGone, DaemonSilent
from proxy.settings import runtime_path


def check(surroundings: Surroundings) -> list[Finding]:
    """Ask the daemon, and look who has its lock."""
    answer, holder = surroundings.daemon, surroundings.lock_holder
    if isinstance(answer, DaemonStatus):
        return _running(answer, holder, surroundings.daemon_lock)
    if holder is not None:
        return [_locked(holder)]
    if isinstance(answer, DaemonSilent):
        pid = listening_pid(surroundings.daemon_socket)
        who = processes.named(pid) if pid else "somebody"
        return [
            error(
                f"{who} listens on {surroundings.daemon_socket} and does not answer",
                f"end it: kill {pid}" if pid else "end it",
            )
        ]
    path = surroundings.daemon_socket
    if os.path.lexists(path) and not path.is_socket():
        what = f"{path} is no socket: no daemon can listen there"
        return [error(what, f"remove it: rm -r {path}")]
    if isinstance(answer, DaemonGone):
        return [absent(sum(each.state is not None for each in surroundings.stored))]
    return [of_error(answer)]


def _running(status: DaemonStatus, holder: int | None, lock: Path | None) -> list[Finding]:
    found = []
    data = Path(status.log_file).parent
    if status.version != __version__:
        found.append(
            error(
                f"the daemon is of version {status.version}, and this is {__version__}",
                "kmux daemon restart: its kernels and their frontends go on",
            )
        )
    if processes.find(status.pid) is None:
        found.append(
            error(
                f"a daemon answers that is no process here (it says {status.pid})",
                "it is in a container or on another machine: set KMUX_RUNTIME_DIR to a directory "
                "that is not shared with it",
            )
        )
    elif lock is not None and status.log_file and data.resolve() != lock.parent.resolve():
        found.append(
            error(
                f"the daemon has its data in {data}, and these commands in {lock.parent}",
                "set KMUX_DATA_DIR alike for both, then kmux daemon restart",
            )
        )
    elif holder is not None and holder != status.pid:
        found.append(
            error(
                f"process {status.pid} answers as the daemon, and {processes.named(holder)} has "
                "its lock",
                f"end the first one: kill {status.pid}; its kernels go on with the other",
            )
        )
    elif lock is not None and not lock.exists():
        found.append(
            warning(
                f"the daemon's lock {lock} was removed, so that a second one could be started",
                "kmux daemon restart",
            )
        )
    return found or [
        ok(f"process {status.pid}, version {status.version}, {some(status.sessions, 'session')}")
    ]


def _locked(holder: int) -> Finding:
    """Say why a daemon cannot be reached that has its lock."""
    theirs = processes.environment(holder)
    if theirs is not None and (place := runtime_path(theirs)) != runtime_path():
        return error(
            f"{processes.named(holder)} is the daemon, and listens in {place}, not in "
            f"{runtime_path()}",
            f"export KMUX_RUNTIME_DIR={place} in this terminal (the two have other environments)",
        )
    return error(
        f"{processes.named(holder)} has the daemon's lock and does not answer",
        f"see kmux daemon logs; if it stays so: kill -KILL {holder}, then kmux daemon start: its "
        "kernels go on",
    )


def absent(sessions: int) -> Finding:
    """Say that none runs, which is as it should be where nobody needs one."""
    if not sessions:
        return ok("none runs; the first command that needs it starts it")
    return warning(
        f"none runs, and {some(sessions, 'session')} of an earlier one wait for it",
        "kmux daemon start",
    )
