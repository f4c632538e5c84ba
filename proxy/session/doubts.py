"""Widgets of which the ledger cannot tell the state: the kernel is asked, when somebody asks.

Theory: the ledger folds what passes, and what passes does not always say what the kernel made of
it. A frontend that opens a widget sends the keys that it wants otherwise; ipywidgets fills in the
rest and tells nobody. An update that a trait refuses is repeated to all all the same, and what
follows is a traceback (``error`` on iopub). Such a widget is in doubt from then on, until the
kernel has told its whole state (``request_state``). It is not asked before a frontend wants to
know: ipywidgets makes a widget's layout and style the moment that it is asked.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import MsgId

MAX_CAUSES = 1000
"""A message in the middle of an async cell has no idle (ipykernel 7.4): the oldest go."""


class Doubts:
    """The widgets in doubt, by comm_id."""

    def __init__(self) -> None:
        self._causes: dict[MsgId, str] = {}
        """What the kernel is to be done with first."""
        self._open: dict[str, None] = {}  # in order
        self._asked: dict[MsgId, str] = {}
        """The questions that the kernel has."""

    def __len__(self) -> int:
        return len(self._causes) + len(self._open) + len(self._asked)

    def __contains__(self, comm_id: str) -> bool:
        known = (self._open, self._asked.values(), self._causes.values())
        return any(comm_id in where for where in known)

    def arise(self, cause: MsgId, comm_id: str) -> None:
        """What this message does to a widget is not known."""
        self._causes[cause] = comm_id
        if len(self._causes) > MAX_CAUSES:
            self._open[self._causes.pop(next(iter(self._causes)))] = None

    def idled(self, msg_id: MsgId) -> None:
        """The kernel is done with a message."""
        self._asked.pop(msg_id, None)
        comm_id = self._causes.pop(msg_id, None)
        if comm_id is not None:
            self._open[comm_id] = None

    @property
    def to_ask(self) -> tuple[str, ...]:
        """The widgets that the kernel can be asked for."""
        return tuple(self._open)

    def asked(self, comm_id: str, question: MsgId) -> None:
        """The kernel was asked for a widget's state."""
        if comm_id in self._open:
            del self._open[comm_id]
            self._asked[question] = comm_id

    def asked_by(self, question: MsgId) -> str | None:
        """The widget that a question is about, while the kernel has it."""
        return self._asked.get(question)

    def closed(self, comm_id: str) -> None:
        """A comm is closed."""
        self._open.pop(comm_id, None)
        for table in (self._causes, self._asked):
            for msg_id in [m for m, c in table.items() if c == comm_id]:
                del table[msg_id]

    def clear(self) -> None:
        """The kernel is gone."""
        self._causes.clear()
        self._open.clear()
        self._asked.clear()
