"""What frontends did to widgets and the kernel did not repeat.

Theory: ipywidgets 8 repeats a frontend's update to all (``echo_update``), so that they agree. It
can be switched off (``JUPYTER_WIDGETS_ECHO=0``), ipywidgets 7 does not do it, nor do some traits
(an upload's bytes). The kernel's state then changed and nobody but the sender knows: the ledger
must learn it, and the other frontends, where the kernel repeats nothing at all. An update is
settled when its idle comes. One in the middle of an async cell has none (ipykernel 7.4 takes it
up concurrently), so it counts as settled after ``SETTLE_SECONDS`` as well.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import msgspec

from proxy.message import Message, MsgId
from proxy.session.comms import CommMessage, Fields
from proxy.session.events import ClientSent

TIMER = "echoes"
SETTLE_SECONDS = 1.0
"""ipykernel answers an update in milliseconds where it answers it at all."""
MAX_PENDING = 1000
"""Updates that wait for their idle; the oldest count as settled."""


class Update(msgspec.Struct, eq=False):
    """A frontend's update of a widget."""

    event: ClientSent
    comm_id: str
    fields: Fields
    """What the kernel has not repeated."""
    is_overdue: bool = False
    """Whether it counted as settled before its idle came."""


class Echoes:
    """The updates that the kernel has and is not done with."""

    def __init__(self) -> None:
        self.kernel_echoes = False
        """Whether this kernel repeats updates: what it does not, it keeps back on purpose."""
        self._pending: dict[MsgId, Update] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def sent(self, event: ClientSent, content: CommMessage) -> Update | None:
        """A frontend's comm_msg goes to the kernel. Returns one that has waited for too long."""
        if content.method != "update" or not content.fields:
            return None
        update = Update(event, content.comm_id, dict(content.fields))
        self._pending[event.message.msg_id] = update
        if len(self._pending) > MAX_PENDING:
            oldest = self._pending.pop(next(iter(self._pending)))
            return oldest if oldest.fields and not oldest.is_overdue else None
        return None

    def heard(self, message: Message, content: CommMessage) -> None:
        """The kernel published a comm_msg."""
        self.kernel_echoes |= content.method == "echo_update"
        update = self._pending.get(message.parent.msg_id) if message.parent else None
        if update is not None and update.comm_id == content.comm_id and content.fields:
            for key in content.fields:
                update.fields.pop(key, None)

    def refused(self, msg_id: MsgId) -> str | None:
        """The kernel complained about an update, if it is one. Returns its comm.

        What of it was taken is not known; no part of it settles.
        """
        update = self._pending.get(msg_id)
        if update is None:
            return None
        update.fields.clear()
        return update.comm_id

    def concern(self, comm_id: str) -> bool:
        """Whether an update of this comm is not settled."""
        return any(update.comm_id == comm_id for update in self._pending.values())

    def overdue(self, at: float) -> list[Update]:
        """Time passed. Returns those that count as settled and were not repeated.

        A kernel that is merely busy takes them up later: they settle again by their idle.
        """
        old = [
            update
            for update in self._pending.values()
            if not update.is_overdue and at - update.event.at >= SETTLE_SECONDS
        ]
        for update in old:
            update.is_overdue = True
        return [update for update in old if update.fields]

    @property
    def has_young(self) -> bool:
        """Whether there are updates that may become overdue."""
        return any(not update.is_overdue for update in self._pending.values())

    def __contains__(self, msg_id: MsgId) -> bool:
        """Whether this is an update that is not settled."""
        return msg_id in self._pending

    def settled(self, msg_id: MsgId) -> Update | None:
        """The kernel is done with an update. Returns it where something was not repeated."""
        update = self._pending.pop(msg_id, None)
        return update if update is not None and update.fields else None

    def clear(self) -> None:
        """The kernel is gone; the next one may be another."""
        self._pending.clear()
        self.kernel_echoes = False
