"""What to do: the only way out of a session. The runner carries commands out in order."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.message import Channel, ClientId, Message
from proxy.session.facts import Fact


class Command(msgspec.Struct, frozen=True, gc=False):
    """One thing to do."""


class ToAll(Command, frozen=True):
    """Publish on iopub to every frontend."""

    message: Message


class ToAllBut(Command, frozen=True):
    """Publish on iopub to every frontend but these, who know it already.

    On ports of ZMQ iopub names nobody: then those who came by the same ports hear nothing either.
    """

    clients: frozenset[ClientId]
    message: Message


class ToClient(Command, frozen=True):
    """Send to one frontend on shell, control or stdin."""

    client: ClientId
    channel: Channel
    message: Message


class ToSubscriber(Command, frozen=True):
    """Send to one new iopub subscriber alone, ahead of what is published from now on."""

    subscriber: object
    message: Message


class ToKernel(Command, frozen=True):
    """Send to the kernel; ``routing`` travels along as its routing prefix."""

    channel: Channel
    routing: tuple[bytes, ...]
    message: Message


class SignalKernel(Command, frozen=True):
    """Interrupt the kernel by a signal to its process group (SIGINT)."""


class RestartKernel(Command, frozen=True):
    """End the kernel, start another one, and report :class:`events.KernelLaunched`."""


class EndSession(Command, frozen=True):
    """The owner of the session asked for its end: kmux itself ends when the kernel has."""

    restart: bool


class Goodbye(Command, frozen=True):
    """A client of the process that runs kmux as its kernel asked for the kernel's end: for that
    process it has ended. It lives on for the others."""

    client: ClientId
    restart: bool
    """Whether that process will want it again at once."""


class StartTimer(Command, frozen=True):
    """Report :class:`events.TimerFired` in so many seconds. A running timer starts anew."""

    key: str
    seconds: float


class Record(Command, frozen=True):
    """Keep what happened."""

    facts: list[Fact]


class Log(Command, frozen=True):
    """Write one event to the log: ``noun.verb`` and its values."""

    event: str
    values: dict[str, Any]
    level: str = "info"
