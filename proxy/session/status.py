"""What the kernel is really doing, as its iopub status messages tell it.

Theory: a kernel publishes ``busy`` when it takes up a request and ``idle`` when it is done with
it, each with the request as parent (Jupyter messaging, "Kernel status"). Requests on different
channels and subshells overlap, so the kernel is busy while any of them is. A frontend's indicator
follows the last status message, whosever it was (JupyterLab). That is why the true status follows
where one says idle while the kernel is busy: a made-up pair's, and while a cell runs the kernel's
own, of what it has done meanwhile in another thread.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import msgspec

from proxy.message import Message, MsgId, Origin

MAX_BUSY = 1000
"""Requests that are taken up at once. One whose idle never came is let go when there are more."""


class StatusContent(msgspec.Struct, frozen=True):
    execution_state: str


_status_decoder = msgspec.json.Decoder(StatusContent)


class KernelStatus:
    """The requests that the kernel is busy with, in the order in which it took them up."""

    def __init__(self) -> None:
        self._busy: dict[MsgId, Origin] = {}

    @property
    def busy_with(self) -> Origin | None:
        """The request that the kernel is busy with: a cell where there is one, or None."""
        for origin in self._busy.values():
            if origin.header.msg_type == "execute_request":
                return origin
        return next(iter(self._busy.values()), None)

    @property
    def runs_cell(self) -> bool:
        """Whether the kernel is busy with a cell."""
        return any(o.header.msg_type == "execute_request" for o in self._busy.values())

    @property
    def all_busy(self) -> tuple[Origin, ...]:
        """All requests that the kernel is busy with, in the order in which it took them up."""
        return tuple(self._busy.values())

    def is_busy_with(self, msg_id: MsgId) -> bool:
        """Whether the kernel has taken up this request and is not done with it."""
        return msg_id in self._busy

    @staticmethod
    def idle_of(message: Message) -> MsgId | None:
        """Return the request that became idle by a status message, and take no further notice."""
        status = message.content_as(_status_decoder)
        is_idle = status is not None and status.execution_state == "idle"
        return message.parent.msg_id if is_idle and message.parent is not None else None

    def is_busy_on(self, subshell_id: str) -> bool:
        """Whether the kernel is busy with something on this subshell."""
        return any(origin.header.subshell_id == subshell_id for origin in self._busy.values())

    def observe(self, message: Message) -> MsgId | None:
        """Follow one iopub status message. Returns the request that became idle by it."""
        status = message.content_as(_status_decoder)
        parent = message.parent
        if status is None or parent is None:
            return None
        if status.execution_state == "busy":
            self._busy[parent.msg_id] = Origin(parent, message.raw_parent)
            if len(self._busy) > MAX_BUSY:
                del self._busy[next(iter(self._busy))]
        elif status.execution_state == "idle":
            self._busy.pop(parent.msg_id, None)
            return parent.msg_id
        return None

    def reset(self) -> None:
        """The kernel is gone, and with it all that it was doing."""
        self._busy.clear()
