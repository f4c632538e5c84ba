"""What a session was handed, in the order in which it came, and what it made of it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from proxy.session import events as ev
from proxy.session.commands import Command
from proxy.session.lifecycle import Policy
from proxy.session.session import Session

Outcome = tuple[str, ...]
"""The types of commands: enough to tell whether a replay takes another way."""


@dataclass
class Recording:
    """The life of one session so far."""

    ident: str
    policy: Policy | None
    records: bool
    """Whether it told the record."""
    events: list[ev.Event] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def new_session(self) -> Session:
        """Make a session like the one that was recorded: it will make up the same ids."""
        return Session(self.ident, self.policy, records=self.records)

    def add(self, event: ev.Event, commands: list[Command]) -> None:
        self.events.append(event)
        self.outcomes.append(outcome(commands))

    def write(self, file: Path) -> None:
        """Write it for another process of the same run."""
        self.events = [_portable(event) for event in self.events]
        file.write_bytes(pickle.dumps(self))


def read(file: Path) -> Recording:
    """Read what a recorder of the same run has written."""
    recording: Recording = pickle.loads(file.read_bytes())
    return recording


def outcome(commands: list[Command]) -> Outcome:
    """Return the types of commands."""
    return tuple(type(command).__name__ for command in commands)


def kind(event: ev.Event) -> str:
    """Name an event's type, with channel and message type (and a widget's method) if it has one."""
    name = type(event).__name__
    if not isinstance(event, ev.ClientSent | ev.KernelSent):
        return name
    message = event.message
    method = message.content()["data"].get("method", "") if message.msg_type == "comm_msg" else ""
    return f"{name} {event.channel} {message.msg_type} {method}".rstrip()


def _portable(event: ev.Event) -> ev.Event:
    """Copy what lies in libzmq's memory, and leave out who signed: that is an object in C."""
    if not isinstance(event, ev.ClientSent | ev.KernelSent | ev.Undelivered):
        return event
    message = msgspec.structs.replace(
        event.message,
        raw_metadata=bytes(event.message.raw_metadata),
        raw_content=bytes(event.message.raw_content),
        buffers=tuple(bytes(buffer) for buffer in event.message.buffers),
        signed_by=None,
    )
    return msgspec.structs.replace(event, message=message)
