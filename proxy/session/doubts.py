"""Widgets of which the ledger cannot tell the state, and the kernel is asked.

Theory: the ledger folds what passes, and what passes does not always say what the kernel made of
it. A frontend that opens a widget sends the keys that it wants otherwise; ipywidgets fills in the
rest and tells nobody. An update that a trait refuses is repeated to all all the same, and what
follows is a traceback on stderr. In both cases kmux asks for the state of that widget
(``request_state``) once the kernel is done with what caused the doubt, and keeps the answer to
itself. Until it comes, the kernel answers frontends that ask for that state.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import MsgId

MAX_CAUSES = 1000
"""A message in the middle of an async cell has no idle (ipykernel 7.4): the oldest go."""


class Doubts:
    """The widgets in doubt, by the message that the kernel is to be done with first."""

    def __init__(self) -> None:
        self._causes: dict[MsgId, str] = {}
        self._asked: dict[str, MsgId] = {}

    def __len__(self) -> int:
        return len(self._causes) + len(self._asked)

    def __contains__(self, comm_id: str) -> bool:
        return comm_id in self._asked or comm_id in self._causes.values()

    def arise(self, cause: MsgId, comm_id: str) -> None:
        """What this message does to a widget is not known."""
        self._causes[cause] = comm_id
        if len(self._causes) > MAX_CAUSES:
            del self._causes[next(iter(self._causes))]

    def idled(self, msg_id: MsgId) -> str | None:
        """The kernel is done with a message. Returns the widget to ask it for.

        There is one question at a time about each: the next one follows its answer.
        """
        for known in [c for c, asked in self._asked.items() if asked == msg_id]:
            del self._asked[known]  # with or without an answer
        comm_id = self._causes.pop(msg_id, None)
        if comm_id is None or comm_id not in self._asked:
            return comm_id
        self._causes[self._asked[comm_id]] = comm_id
        return None

    def asked(self, comm_id: str, question: MsgId) -> None:
        """The kernel was asked for a widget's state."""
        self._asked[comm_id] = question

    def is_answer(self, parent: MsgId, comm_id: str) -> bool:
        """Whether a message on this comm is the answer to kmux's own question."""
        return self._asked.get(comm_id) == parent

    def closed(self, comm_id: str) -> None:
        """A comm is closed."""
        self._asked.pop(comm_id, None)
        for cause in [m for m, c in self._causes.items() if c == comm_id]:
            del self._causes[cause]

    def clear(self) -> None:
        """The kernel is gone."""
        self._causes.clear()
        self._asked.clear()
