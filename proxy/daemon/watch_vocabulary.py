"""What the status page is told: the JSON of ``/kmux/watch``."""

from __future__ import annotations

import msgspec

from proxy.daemon.vocabulary import ClientEntry, QueueEntry, SessionInfo


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to see of a session, but for its cells."""

    info: SessionInfo
    clients: list[ClientEntry]
    """Who is attached, longest first; the first ones."""
    queue: list[QueueEntry]
    """The cells that run and wait; the first ones."""
    queued: int
    """How many there are; of very many, that there are."""
    is_ours: bool
    """Whether its kernel is kmux's to restart."""


class LoadSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel takes, with all processes that it started; rounded, so that what is quiet is
    the same each time."""

    cpu_percent: int | None
    """Of one processor; None where it is not known yet."""
    memory_bytes: int
    processes: int


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has changed since the last message on this WebSocket; in the first one, all."""

    now: str
    """What the daemon's clock shows: ISO 8601, UTC."""
    read_only: bool | None = None
    """Whether the token is for looking; told once."""
    order: list[str] | None = None
    """The ids of all sessions, by name, where that has changed. Who is not among them is gone."""
    sessions: dict[str, msgspec.Raw] = {}
    """By id: :class:`Watched`."""
    cells: dict[str, msgspec.Raw] = {}
    """By id: the latest cells, a list of :class:`proxy.record.glimpse.ShownCell`."""
    loads: dict[str, msgspec.Raw] = {}
    """By id: :class:`LoadSeen`, or null."""
