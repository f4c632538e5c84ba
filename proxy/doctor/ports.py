"""Whether the ports of sessions that wait for a daemon are free: frontends come back there."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from proxy.doctor import listeners, processes
from proxy.doctor.findings import Finding, error, ok
from proxy.doctor.listeners import Listener
from proxy.doctor.surroundings import Surroundings
from proxy.message import Channel


class Taken(msgspec.Struct, frozen=True):
    """A port that a session had."""

    session: str
    listener: Listener


def check(surroundings: Surroundings) -> list[Finding]:
    """Look who listens there. While a daemon runs it is the daemon, and says what it has not."""
    if surroundings.daemon_runs:
        return [ok("the daemon has them")]
    return [_say(each) for each in taken(surroundings)] or [ok("none is taken")]


def taken(surroundings: Surroundings) -> Iterator[Taken]:
    """Yield the ports that the next daemon will not get."""
    for stored in surroundings.stored:
        for endpoint in stored.state.endpoints if stored.state is not None else []:
            if endpoint.kind == "shim" or endpoint.info.transport != "tcp":
                continue  # a shim's are its frontend's
            for channel in Channel:
                listener = surroundings.listener(endpoint.info.ip, endpoint.info.port(channel))
                if listener is not None and stored.state is not None:
                    yield Taken(stored.state.name, listener)


def _say(each: Taken) -> Finding:
    pid = listeners.holder(each.listener)
    who = processes.named(pid) if pid is not None else "a process of another user"
    return error(
        f"{who} has port {each.listener.port} of session {each.session}",
        "end it before kmux daemon start: else the frontends of that session do not come back",
    )
