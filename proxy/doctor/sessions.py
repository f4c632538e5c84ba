"""Whether the sessions on the disk can be gone on with."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from proxy.daemon.state import STATE, DamagedState, read_state
from proxy.doctor import processes
from proxy.doctor.findings import Finding, error, of_error, ok, some, warning
from proxy.doctor.surroundings import Stored, Surroundings
from proxy.errors import StoreError

YOUNG_SECONDS = 10.0
"""A directory without a state may be that of a session that just begins or ends."""
DAMAGED = ".damaged-"
"""In the name of what was set aside, as in that of a record's file."""


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at each session's directory."""
    in_memory = _in_memory(surroundings)
    found = [
        _unusable(each, each.failure, in_memory)
        for each in surroundings.stored
        if each.failure is not None and not _is_young(each.path)
    ]
    found += _namesakes(surroundings.stored)
    if surroundings.data is not None:
        found += [_set_aside_before(path) for path in set_aside_in(surroundings.data)]
    return found or [ok(f"{some(len(surroundings.stored), 'session')} on the disk")]


def _in_memory(surroundings: Surroundings) -> list[str] | None:
    """Return the sessions that the daemon has and that are not on the disk: any that is damaged may
    be one of them. None: nobody knows."""
    if surroundings.daemon_sessions is None:
        return None
    whole = {each.state.name for each in surroundings.stored if each.state is not None}
    return sorted({each.name for each in surroundings.daemon_sessions} - whole)


def _unusable(stored: Stored, failure: StoreError, in_memory: list[str] | None) -> Finding:
    """Say why a session cannot be gone on with, and whether it is over anyway."""
    state = stored.path / STATE
    is_damaged = isinstance(failure, DamagedState)
    if not is_damaged and not _is_missing(state):
        return of_error(failure, f"see to it that you can read {stored.path}, or remove it")
    what = f"{state} is {'damaged' if is_damaged else 'missing'}"
    keeper = stored.kernel.keeper_pid()
    if keeper is not None:
        pid = stored.kernel.pid() or keeper
        return error(
            f"{what}; its kernel still runs, as process {pid}",
            f"save what you need: jupyter console --existing {stored.kernel.connection_file}; "
            f"then kill {pid}, and kmux doctor --fix sets it aside",
        )
    if in_memory is None:
        return error(f"{what}; the daemon may have it still", "see to the daemon first")
    if in_memory:
        return error(
            f"{what}; the daemon may have it still, as {' or '.join(in_memory)}",
            f"end it: kmux stop {in_memory[0]}",
        )
    return error(
        f"{what}; its kernel has ended, so that nothing goes on with it",
        "kmux doctor --fix sets it aside; its record is not in it, and stays",
        lambda: set_aside(stored),
    )


def set_aside(stored: Stored) -> str:
    """Have no daemon find it any more. Raises OSError."""
    try:
        read_state(stored.path)
    except StoreError:
        pass
    else:
        return "nothing: it is whole by now"
    if stored.kernel.keeper_pid() is not None:
        return "nothing: its kernel runs by now"
    now = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    kept = stored.path.parents[1] / f"session-{stored.path.name}{DAMAGED}{now}"
    stored.path.rename(kept)
    return f"set it aside as {kept}"


def set_aside_in(data: Path) -> list[Path]:
    """Return what was set aside."""
    return sorted(data.glob(f"session-*{DAMAGED}*"))


def _set_aside_before(path: Path) -> Finding:
    return warning(f"{path} was set aside", f"when you need nothing of it: rm -r {path}")


def _is_young(path: Path) -> bool:
    try:
        changed = path.stat().st_mtime
    except OSError:
        return True  # it is gone
    return _is_missing(path / STATE) and time.time() - changed < YOUNG_SECONDS


def _is_missing(path: Path) -> bool:
    """Whether there is no such file, as opposed to one that cannot be looked at."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _namesakes(stored: list[Stored]) -> list[Finding]:
    """Say which sessions have the same name: the daemon goes on with the first one."""
    by_name = defaultdict(list)
    for each in stored:
        if each.state is not None:
            by_name[each.state.name].append(each)
    return [_namesake(name, each) for name, same in by_name.items() for each in same[1:]]


def _namesake(name: str, stored: Stored) -> Finding:
    pid = stored.kernel.keeper_pid()
    runs = f", whose kernel runs ({processes.named(pid)})" if pid is not None else ""
    return error(
        f"{stored.path} is another session {name!r}{runs}: only one can be gone on with",
        f"kmux rename {name} ANOTHER-NAME, then kmux daemon restart",
    )
