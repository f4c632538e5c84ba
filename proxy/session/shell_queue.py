"""The queue of one shell of the kernel: whose turn is next, and who has something ahead of it.

The theory is in ``executions.py``, which composes the queues of all shells. Everything that
changes this state is in this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from proxy.message import ClientId, MsgId
from proxy.session.events import ClientSent


class State(StrEnum):
    QUEUED = "queued"
    EXECUTING = "executing"
    COMPLETE = "complete"


class End(StrEnum):
    """How an execution ended."""

    OK = "ok"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    LOST = "lost"


class _Cell(msgspec.Struct, frozen=True):
    """What the queue reads of an execute_request."""

    silent: bool = False
    stop_on_error: bool = True


_cell_decoder = msgspec.json.Decoder(_Cell)


class Execution:
    """One execute_request, from its arrival to its end."""

    __slots__ = (
        "blamed",
        "end",
        "event",
        "idled",
        "sent_again",
        "silent",
        "started",
        "state",
        "stop_on_error",
        "was_interrupted",
    )

    def __init__(self, event: ClientSent) -> None:
        cell = event.message.content_as(_cell_decoder) or _Cell()
        self.event = event
        self.silent = cell.silent
        self.stop_on_error = cell.stop_on_error and not cell.silent
        self.state = State.QUEUED
        self.end: End | None = None
        self.started: float | None = None
        """When it went to the kernel."""
        self.blamed = {event.client}
        """Whose cells go with it if it fails: its client's, and those of who interrupted it."""
        self.was_interrupted = False
        self.idled = False
        self.sent_again = 0

    @property
    def msg_id(self) -> MsgId:
        return self.event.message.header.msg_id

    def complete(self, end: End) -> None:
        self.state, self.end = State.COMPLETE, end


Entry = ClientSent | Execution


class Step(msgspec.Struct):
    """What a change of the queue asks for, in this order."""

    aborted: list[Execution] = []
    """Answer these as a kernel answers a cell that it throws away."""
    completed: list[Execution] = []
    """These are over, and answered."""
    sent: list[ClientSent] = []
    """Send these to the kernel."""
    sent_again: bool = False
    """What is sent was sent before: the reply that came is nobody's business."""
    watch: Execution | None = None
    """Ask again about this one in ``LOST_SECONDS`` (:meth:`Executions.overdue`)."""

    def add(self, other: Step) -> None:
        """Do what another step asks for as well."""
        self.aborted += other.aborted
        self.completed += other.completed
        self.sent += other.sent


NOTHING = Step()
"""What most messages ask for. Made once: it is on the way of every idle."""


class ShellQueue:
    """The queue of one shell of the kernel."""

    def __init__(self) -> None:
        self.running: Execution | None = None
        """What the kernel has. It may be complete and not idle yet: then the kernel may still be
        throwing cells away."""
        self.waiting: dict[ClientId, deque[Entry]] = {}
        """By client, who waits longest first. The first entry of each is an execution."""
        self._last: ClientId | None = None

    def add(self, client: ClientId, entry: Entry) -> bool:
        """Queue an entry, if it must wait. Returns whether."""
        entries = self.waiting.get(client)
        if entries is None:
            if not isinstance(entry, Execution):
                return False
            entries = self.waiting[client] = deque()
        entries.append(entry)
        return True

    def fill(self) -> list[ClientSent]:
        """Send the next cell, if it is time, and what its client sent right behind it."""
        if self.running is not None or not self.waiting:
            return []
        client = self._next()
        entries = self.waiting.pop(client)
        execution = entries.popleft()
        assert isinstance(execution, Execution)
        self.run(client, execution)
        sent = [execution.event, *_others(entries)]
        if entries:
            self.waiting[client] = entries  # behind everybody else
        return sent

    def run(self, client: ClientId, execution: Execution) -> None:
        """The kernel has this one now."""
        execution.state = State.EXECUTING
        self.running = execution
        self._last = client

    def _next(self) -> ClientId:
        """Whose turn it is: who has a silent cell, or waits longest and had not the last turn."""
        silent = (client for client, entries in self.waiting.items() if _is_silent(entries[0]))
        others = (client for client in self.waiting if client != self._last)
        return next(silent, None) or next(others, None) or next(iter(self.waiting))

    def in_turn(self) -> Iterator[Execution]:
        """The cells that wait, in the order in which they run if nothing else comes."""
        cells = {
            client: deque(entry for entry in entries if isinstance(entry, Execution))
            for client, entries in self.waiting.items()
        }
        last = self._last
        while cells:
            silent = (client for client, mine in cells.items() if mine[0].silent)
            others = (client for client in cells if client != last)
            last = next(silent, None) or next(others, None) or next(iter(cells))
            mine = cells.pop(last)
            yield mine.popleft()
            if mine:
                cells[last] = mine

    def abort(self, client: ClientId) -> Step:
        """Take all cells of a client out. What else it sent goes to the kernel."""
        step = Step()
        for entry in self.waiting.pop(client, ()):
            if isinstance(entry, Execution):
                entry.complete(End.ABORTED)
                step.aborted.append(entry)
            else:
                step.sent.append(entry)
        return step

    def cancel(self, client: ClientId, msg_id: MsgId) -> Step:
        """Take one cell of a client out."""
        step = Step()
        entries = self.waiting.get(client, deque())
        for entry in entries:
            if isinstance(entry, Execution) and entry.msg_id == msg_id:
                entries.remove(entry)
                entry.complete(End.ABORTED)
                step.aborted.append(entry)
                step.sent += _others(entries)
                break
        if client in self.waiting and not entries:
            del self.waiting[client]
        return step


def _is_silent(entry: Entry) -> bool:
    return isinstance(entry, Execution) and entry.silent


def _others(entries: deque[Entry]) -> list[ClientSent]:
    """Take out what stands ahead of the next cell."""
    taken: list[ClientSent] = []
    while entries and isinstance(entries[0], ClientSent):
        taken.append(entries.popleft())  # type: ignore[arg-type]
    return taken
