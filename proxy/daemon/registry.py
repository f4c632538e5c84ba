"""Who has which session on this machine: the daemon, or a ``kmux run``, each on its Unix socket.

A ``kmux run`` listens on a socket with its session's name, and answers there what the daemon
answers on its own (``api.py``). A socket that nobody listens on was left by a kmux that was killed;
who listens there next takes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from proxy.daemon.client import Daemon
from proxy.daemon.http_client import DaemonClient
from proxy.daemon.place import socket_path as daemon_socket
from proxy.daemon.vocabulary import MAX_NAME_CHARACTERS, SessionInfo
from proxy.errors import ConfigError, DaemonGone, DaemonSilent, NotFound
from proxy.settings import runtime_dir


def is_name(name: str) -> bool:
    """Whether this can be a session's name: that of a file, and of a socket."""
    valid = bool(name) and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    return valid and name[0] not in "-." and len(name) <= MAX_NAME_CHARACTERS


def check_name(name: str) -> None:
    """Raise :class:`ConfigError` for a name that cannot be a file's and a socket's."""
    if not is_name(name):
        raise ConfigError(
            f"{name!r} is not a name for a session: up to {MAX_NAME_CHARACTERS} letters, digits, "
            "'-', '_' and '.', beginning with a letter or digit"
        )


def names_like(wish: str) -> Iterator[str]:
    """Yield names that can be a session's and are like this one, each to be tried."""
    base = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in wish)
    base = base.strip("-.")[: MAX_NAME_CHARACTERS - 4] or "kernel"
    yield base
    for number in range(2, 1000):
        yield f"{base}-{number}"


def socket_path(name: str) -> Path:
    """Return where a ``kmux run`` of this name listens."""
    return runtime_dir() / f"{name}.sock"


def sessions() -> list[SessionInfo]:
    """Return what runs, by name, whoever has it. Who does not answer is passed over."""
    found: list[SessionInfo] = []
    for place in (daemon_socket(), *runtime_dir().glob("*.sock")):
        with contextlib.suppress(DaemonGone, DaemonSilent):
            found += Daemon(DaemonClient(place)).sessions()
    return sorted(found, key=lambda session: session.name)


def find(name: str) -> tuple[Daemon, SessionInfo]:
    """Return who has a session, and what is known of it. Raises :class:`NotFound`."""
    if is_name(name):
        for place in (socket_path(name), daemon_socket()):
            holder = Daemon(DaemonClient(place))
            with contextlib.suppress(DaemonGone, NotFound):
                return holder, holder.session(name)
    raise NotFound(f"no session {name!r} runs; kmux ps lists those that do")


def holder(name: str) -> Daemon:
    """Return who has a session. Raises :class:`NotFound` where none of this name runs."""
    return find(name)[0]


def runs(name: str) -> bool:
    """Whether a session of this name runs."""
    with contextlib.suppress(NotFound):
        find(name)
        return True
    return False
