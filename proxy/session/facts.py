"""What a session remembers of itself: the words in which it tells the record.

Each fact is told once, when it happened, in order (:class:`commands.Record`). What is merely the
present state of something small (status, who is attached, who waits) is not told but looked up
when the record is written (:meth:`Session.present`).
"""

from __future__ import annotations

import msgspec

from proxy.message import ClientId, Message, MsgId
from proxy.session.comms import Fields


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something happened at this time: the wall clock, seconds since 1970."""

    at: float


class KernelBegan(Fact, frozen=True):
    """Another kernel process takes over, with no comms and a count of its own."""

    found: bool
    """Whether it ran before kmux knew it."""
    env_source: str = ""
    """Where its environment is from; empty: not known."""


class KernelTold(Fact, frozen=True):
    """The kernel said what it is: the content of its kernel_info_reply."""

    session: str
    """Its ``header.session``: the same for as long as it lives."""
    content: bytes


class KernelEnded(Fact, frozen=True):
    """The kernel is gone. ``reason`` is one line for a person."""

    reason: str


class CellQueued(Fact, frozen=True):
    """A frontend sent an execute_request that is not silent."""

    client: ClientId
    message: Message


class CellSent(Fact, frozen=True):
    """It went to the kernel."""

    client: ClientId
    msg_id: MsgId


class CellEnded(Fact, frozen=True):
    """It is over: ok, error, interrupted, aborted or lost (``shell_queue.End``)."""

    client: ClientId
    msg_id: MsgId
    end: str


class Published(Fact, frozen=True):
    """The kernel published something that a notebook shows (``running.KEPT``)."""

    message: Message


class CommOpened(Fact, frozen=True):
    """A comm was opened, by a client or (None) by the kernel. ``fields`` is a widget's state."""

    comm_id: str
    target_name: str
    opener: ClientId | None
    message: Message
    """The comm_open as it came."""
    fields: Fields | None


class CommChanged(Fact, frozen=True):
    """Keys of a widget's state have new values."""

    comm_id: str
    fields: Fields


class CommClosed(Fact, frozen=True):
    """A comm was closed."""

    comm_id: str


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is now."""

    execution_state: str
    """starting, idle, busy, restarting or dead."""
    clients: dict[ClientId, float]
    """Who is attached, and since when."""
    queue: tuple[tuple[ClientId, MsgId], ...]
    """The cells that wait, in the order of their turns; the first thousand."""
    holders: dict[str, tuple[ClientId, ...]] | None
    """Who has used each open comm; None where that has not changed since it was last asked for."""
