"""Subshells in a session: given, shared, taken back.

The machine is in ``subshells.py``; here it becomes commands. What the kernel can answer itself it
is left to answer: a single client's conversation about its subshells is with the kernel.
"""

from __future__ import annotations

import msgspec

from proxy.message import Channel, ClientId, Message
from proxy.session.answers import Answers, error
from proxy.session.asker import Asker
from proxy.session.commands import Command
from proxy.session.events import ClientSent
from proxy.session.executions import Executions
from proxy.session.kernel_info import KernelInfo
from proxy.session.queue import TOO_MANY
from proxy.session.requests import Request
from proxy.session.status import KernelStatus
from proxy.session.subshells import Deleted, Subshells

REQUESTS = ("create_subshell_request", "delete_subshell_request", "list_subshell_request")
MAX_WAITING = 1000
"""Clients that wait for the kernel's first subshells."""


class _About(msgspec.Struct, frozen=True):
    """What requests and replies say of a subshell."""

    subshell_id: str


_about_decoder = msgspec.json.Decoder(_About)


class SubshellDesk:
    """All subshells of one kernel."""

    def __init__(
        self,
        kernel_info: KernelInfo,
        status: KernelStatus,
        executions: Executions,
        answers: Answers,
        asker: Asker,
    ) -> None:
        self.subshells = Subshells(lambda i: status.is_busy_on(i) or executions.has(i))
        self._kernel_info = kernel_info
        self._answers = answers
        self._asker = asker
        self._waiting: list[ClientSent] = []

    def client_sent(self, event: ClientSent) -> list[Command] | None:
        """Take a client's request on control. None: the kernel is to have it."""
        if not self._kernel_info.has_subshells:
            return None
        msg_type = event.message.msg_type
        if msg_type == "create_subshell_request":
            return self._create(event)
        if msg_type == "delete_subshell_request":
            return self._delete(event)
        if self.subshells.all_used:
            return None
        content = {"status": "ok", "subshell_id": self.subshells.used()}
        return self._answers.reply_to(event, content)

    def _create(self, event: ClientSent) -> list[Command] | None:
        if self.subshells.must_wait:
            if len(self._waiting) >= MAX_WAITING:
                return self._answers.refuse(event, *TOO_MANY)
            self._waiting.append(event)
            return []
        subshell_id = self.subshells.create(event.client, event.message.msg_id)
        if subshell_id is None:
            return None
        return self._answers.reply_to(event, {"status": "ok", "subshell_id": subshell_id})

    def _delete(self, event: ClientSent) -> list[Command] | None:
        about = event.message.content_as(_about_decoder)
        if about is None:
            return None
        match self.subshells.delete(event.client, about.subshell_id):
            case Deleted.HERE:
                return self._answers.reply_to(event, {"status": "ok"})
            case Deleted.UNKNOWN:
                content = {"status": "error", "evalue": _unknown(about.subshell_id)}
                return self._answers.reply_to(event, content)
        return None

    def kernel_created(
        self, request: Request, reply: Message, at: float
    ) -> tuple[list[Command], list[ClientSent]]:
        """The kernel answered a create_subshell_request. Returns also requests to take again."""
        about = reply.content_as(_about_decoder)
        subshell_id = about.subshell_id if about is not None else None
        msg_id = request.origin.header.msg_id
        unwanted = self.subshells.created(request.client, msg_id, subshell_id)
        waiting, self._waiting = self._waiting, []
        return self._delete_real([subshell_id] if unwanted and subshell_id else [], at), waiting

    def misaddressed(self, event: ClientSent) -> list[Command] | None:
        """Answer a request for a subshell that was deleted, but is kept: as the kernel would.

        None where it is none of these.
        """
        header = event.message.header
        subshell_id = header.subshell_id
        if subshell_id is None or not self.subshells.is_unused(subshell_id):
            return None
        content = error("UnknownSubshellError", _unknown(subshell_id))
        return self._answers.reply_to(event, content, self._answers.metadata("error", event.at))

    def knows(self, subshell_id: str | None) -> bool:
        """Whether a subshell was made through kmux, and is there."""
        return subshell_id is not None and subshell_id in self.subshells

    def published(self, comm_id: str, subshell_id: str | None, at: float) -> list[Command]:
        """The kernel published on a comm."""
        return self._delete_real(self.subshells.published(comm_id, subshell_id), at)

    def closed(self, comm_id: str, at: float) -> list[Command]:
        """A comm is closed."""
        return self._delete_real(self.subshells.closed(comm_id), at)

    def settled(self, subshell_id: str, at: float) -> list[Command]:
        """Something on a subshell is done."""
        return self._delete_real([subshell_id] if self.subshells.settled(subshell_id) else [], at)

    def left(self, client: ClientId, at: float) -> list[Command]:
        """A client is gone."""
        self._waiting = [event for event in self._waiting if event.client != client]
        return self._delete_real(self.subshells.left(client), at)

    def abandon(self) -> list[ClientSent]:
        """The kernel is gone. Returns the requests that waited."""
        waiting, self._waiting = self._waiting, []
        self.subshells.clear()
        return waiting

    def _delete_real(self, subshell_ids: list[str], at: float) -> list[Command]:
        return [
            self._asker.ask(Channel.CONTROL, "delete_subshell_request", {"subshell_id": i}, at)
            for i in subshell_ids
        ]


def _unknown(subshell_id: str) -> str:
    """ipykernel's words (``UnknownSubshellError``, 7.4)."""
    return f"Unknown subshell_id {subshell_id!r}"
