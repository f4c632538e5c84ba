"""Whether the kernels of sessions live, and what else is the matter with a session."""

from __future__ import annotations

from proxy.daemon.vocabulary import SessionInfo
from proxy.doctor.findings import Finding, ok, some, warning
from proxy.doctor.surroundings import Stored, Surroundings
from proxy.message import Channel

REMEDY = "kmux restart {name}, or kmux stop {name}"


def check(surroundings: Surroundings) -> list[Finding]:
    """Ask those who have kernels; without a daemon, look for those that it has left."""
    found = [each for info in surroundings.sessions if (each := judge(info)) is not None]
    number = len(surroundings.sessions)
    if not surroundings.daemon_runs:
        waiting = [each for each in surroundings.stored if each.state is not None]
        found += [each for stored in waiting if (each := _left(stored, surroundings)) is not None]
        number += len(waiting)
    return found or [ok(f"{some(number, 'kernel')}, none dead")]


def judge(session: SessionInfo) -> Finding | None:
    """Say what a session says of itself."""
    name, problem = session.name, session.problem
    if session.status == "dead":
        remedy = REMEDY.format(name=name) if session.daemon else "end its kmux run: Ctrl-C twice"
        return warning(f"the kernel of {name} is dead: {problem or 'nobody knows why'}", remedy)
    if problem:
        return warning(
            f"{name}: {problem}",
            f"put it right, then kmux daemon restart; kmux daemon logs --session {name} says more",
        )
    return None


def _left(stored: Stored, surroundings: Surroundings) -> Finding | None:
    """Say whether a kernel has died that a daemon has left."""
    state = stored.state
    assert state is not None
    how = None
    if state.found is not None:
        info = state.found
        if info.transport == "tcp" and info.ip.startswith("127."):
            port = info.port(Channel.SHELL)
            if surroundings.listener(info.ip, port) is None:
                how = "nobody listens on its ports any more"
    elif stored.kernel.keeper_pid() is None:
        how = _end(stored)
    if how is None:
        return None
    remedy = REMEDY.format(name=state.name)
    return warning(
        f"the kernel of {state.name} is dead: {how}", f"kmux daemon start, then {remedy}"
    )


def _end(stored: Stored) -> str:
    """Say how it ended, and what it said at last."""
    status = stored.kernel.exit_status()
    if status is None:
        return "nobody saw how it ended"
    from proxy.kernels.adopted import ending

    return ": ".join([ending(status), *stored.kernel.last_output(1)])
