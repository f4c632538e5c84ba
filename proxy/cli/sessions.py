"""The session that a command is about, whoever has it: the daemon, or a ``kmux run``."""

from __future__ import annotations

from proxy.daemon import client, registry
from proxy.daemon.client import Daemon
from proxy.daemon.vocabulary import SessionInfo
from proxy.errors import ConfigError, NotFound


def find(name: str) -> tuple[Daemon, SessionInfo]:
    """Return who has a session, and what is known of it. Raises :class:`NotFound`.

    The daemon is started first, where an earlier one may have left this session.
    """
    try:
        return registry.find(name)
    except NotFound:
        if client.revived() is None:
            raise
        return registry.find(name)


def find_in_daemon(name: str, why_not: str) -> tuple[Daemon, SessionInfo]:
    """Return a session that the daemon has, for what only the daemon can.

    Raises :class:`NotFound`, and :class:`ConfigError` with ``why_not`` where a ``kmux run`` has it.
    """
    holder, session = find(name)
    if not session.daemon:
        raise ConfigError(f"{name} is of a kmux run in the foreground: {why_not}")
    return holder, session
