"""What happened: the only way in to a session.

Events are frozen msgspec structs, not dataclasses: one is made for every message, and a struct
costs 0.1 µs where a frozen dataclass costs 0.5 µs. ``at`` is the wall clock, seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId, Part
from proxy.session.comms import Fields

LASTING = ("execute_request", "comm_open", "create_subshell_request")
"""What is not done any more for a client that is gone: it would change the kernel, or stay."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something happened at this time."""

    at: float


class ClientSent(Event, frozen=True):
    """A frontend sent a message on shell, control or stdin."""

    client: ClientId
    channel: Channel
    message: Message

    def is_of(self, client: ClientId, msg_types: Collection[str]) -> bool:
        """Whether this client sent it, and it is one of these."""
        return self.client == client and self.message.header.msg_type in msg_types


class RestoredComm(msgspec.Struct, frozen=True, kw_only=True):
    """A comm that was open when kmux ended."""

    comm_id: str
    target_name: str
    content: bytes
    """Of its comm_open."""
    metadata: bytes
    buffers: tuple[Part, ...]
    fields: Fields | None
    """A widget's state as it was last known."""
    opener: ClientId | None


class Restored(Event, frozen=True):
    """What is remembered of a kernel from before kmux was started; it holds if that still lives."""

    kernel_session: str
    """Its ``header.session``."""
    comms: tuple[RestoredComm, ...]


class EndpointBound(Event, frozen=True):
    """Frontends can attach at these ports, by their names in connection files."""

    ports: dict[str, int]
    tag: bytes = b""
    """The first frame of the ids of its clients."""
    read_only: bool = False
    """Whether its clients may look and not touch."""


class EndpointClosed(Event, frozen=True):
    """Nobody can be reached at these ports any more; its clients leave one by one."""

    tag: bytes


class Connected(Event, frozen=True):
    """A frontend has connected. It is not known which one until it says something."""


class ClientReturned(Event, frozen=True):
    """A frontend was heard on a new connection: it is new, or came back with its identity."""

    client: ClientId
    owner: bool = False
    """Whether it belongs to the process that started kmux as its kernel (a kernelspec's argv)."""
    missed_nothing: bool = False
    """Whether its endpoint has kept all that it was sent meanwhile."""


class ClientLeft(Event, frozen=True):
    """The last connection of a frontend closed."""

    client: ClientId


class CancelRequested(Event, frozen=True):
    """A client wants a cell that waits in the queue not to run."""

    client: ClientId
    msg_id: MsgId


class Subscribed(Event, frozen=True):
    """A frontend subscribed to iopub. ``subscriber`` is valid until this event is handled."""

    subscriber: object
    replay: bool = False
    """Whether this subscriber asked for what it missed."""


class Undelivered(Event, frozen=True):
    """A message for a client could not be handed to it: not connected, or not reading."""

    client: ClientId
    channel: Channel
    message: Message


class KernelSent(Event, frozen=True):
    """The kernel sent a message. ``routing`` is what it gave back of the routing prefix."""

    channel: Channel
    routing: tuple[bytes, ...]
    message: Message


class KernelPreparing(Event, frozen=True):
    """Something is done before a kernel can be launched: its environment is being made."""

    line: str
    """What, for a person."""
    language: str
    """Of the kernel that is to come."""


class KernelLaunched(Event, frozen=True):
    """A kernel process was started and its channels are connected."""

    interrupt_mode: str
    """"signal" or "message", as its kernelspec says."""
    found: bool = False
    """Whether it ran before: it may be busy, and have comms of which nothing is known."""
    env_source: str = ""
    """Where its environment is from; empty: not known."""
    start_code: str = ""
    """What it is to run before anybody else's."""


class KernelDied(Event, frozen=True):
    """The kernel's process ended, or could not be started. ``reason`` is one line for a person."""

    reason: str
    for_good: bool = False
    """Whether it is not to be started again, whatever the policy is: it was dead when kmux came."""


class RestartRequested(Event, frozen=True):
    """Somebody with the right to do so wants the kernel restarted."""

    clients: frozenset[ClientId] = frozenset()
    """Who knows of it, and is not to be told."""


class InterruptRequested(Event, frozen=True):
    """Somebody without a client (Ctrl-C, the command line) wants the kernel interrupted."""

    endpoint: bytes = b""
    """The ports of the frontend that wants it, where it is one: its kernel's process, which stands
    for the kernel, was sent SIGINT."""


class ShuttingDown(Event, frozen=True):
    """kmux ends this session; the kernel goes with it."""

    restart: bool = False
    """Whether whoever ends it will start it again at once, on the same ports."""


class TurnEnded(Event, frozen=True):
    """What came in together was handled, and what was to be sent is on its way."""


class TimerFired(Event, frozen=True):
    """A timer that was set with :class:`commands.StartTimer` ran out."""

    key: str
