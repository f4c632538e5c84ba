"""Comms in a session: recorded, shared between frontends, answered for a kernel that is busy.

The machines are in ``comms.py`` (the ledger), ``holders.py`` (whose close counts), ``echoes.py``
(what the kernel does not repeat) and ``widgets.py`` (what ipywidgets would answer); here they
become commands.

A control comm (``jupyter.widget.control``, by which JupyterLab asks for all states) never reaches
the kernel where kmux can answer: ipywidgets has one for everybody, and answers on whichever was
opened last.
"""

from __future__ import annotations

import msgspec

from proxy.message import ClientId, Message, MsgId, Part
from proxy.session import widgets
from proxy.session.answers import Answers
from proxy.session.commands import Command, Log, ToAll
from proxy.session.comms import CommMessage, Comms, read, write
from proxy.session.echoes import Echoes, Update
from proxy.session.events import ClientSent
from proxy.session.holders import Holders

COMM_TYPES = frozenset({"comm_open", "comm_msg", "comm_close"})
MAX_CONTROLS = 1000
"""Control comms that are open; frontends close theirs when they have their answer."""


class _InfoRequest(msgspec.Struct, frozen=True):
    target_name: str | None = None


_info_decoder = msgspec.json.Decoder(_InfoRequest)


class CommDesk:
    """All comms of one kernel."""

    def __init__(self, answers: Answers) -> None:
        self.comms = Comms()
        self.holders = Holders()
        self.echoes = Echoes()
        self._answers = answers
        self._controls: dict[str, ClientId] = {}

    # Frontends

    def info(self, event: ClientSent) -> list[Command]:
        """Answer a comm_info_request."""
        asked = event.message.content_as(_info_decoder) or _InfoRequest()
        return self._answers.reply_to(event, self.comms.info(asked.target_name))

    def client_sent(self, event: ClientSent, *, busy: bool) -> tuple[bool, list[Command]]:
        """Take a frontend's comm message. Returns whether the kernel is to have it, and more."""
        content = read(event.message)
        if content is None:
            return True, []
        msg_type = event.message.msg_type
        if msg_type == "comm_open":
            return self._opened_by_client(event, content, busy=busy)
        if content.comm_id in self._controls:
            return False, self._control(event, content)
        if msg_type == "comm_close":
            return self._closed_by_client(event, content)
        self.holders.used(content.comm_id, event.client)
        comm = self.comms.get(content.comm_id)
        if content.method == "request_state" and comm is not None and comm.is_widget:
            return False, self._answer(event, *widgets.one_state(comm))
        overdue = self.echoes.sent(event, content)
        if overdue is not None:
            self.comms.fold(overdue.comm_id, overdue.fields)
        return True, []

    def _opened_by_client(
        self, event: ClientSent, content: CommMessage, *, busy: bool
    ) -> tuple[bool, list[Command]]:
        answerable = busy or any(comm.is_widget for comm in self.comms)
        if content.target_name == widgets.CONTROL_TARGET and answerable:
            self._controls[content.comm_id] = event.client
            if len(self._controls) > MAX_CONTROLS:
                del self._controls[next(iter(self._controls))]
            return False, self._answer(event)
        self.comms.open(event.message, content, event.client, event.at)
        self.holders.opened(content.comm_id, event.client, event.at)
        return True, []

    def _control(self, event: ClientSent, content: CommMessage) -> list[Command]:
        if event.message.msg_type == "comm_close":
            del self._controls[content.comm_id]
            return self._answer(event)
        if content.method == "request_states":
            for comm in self.comms:
                self.holders.used(comm.comm_id, event.client)
            return self._answer(event, *widgets.all_states(content.comm_id, self.comms))
        return self._answer(event)

    def _closed_by_client(
        self, event: ClientSent, content: CommMessage
    ) -> tuple[bool, list[Command]]:
        comm_id = content.comm_id
        if self.holders.closes(comm_id, event.client, event.at):
            known = self.comms.close(comm_id) is not None
            self.holders.closed(comm_id)
            closed = self._answers.comm("comm_close", event, {"comm_id": comm_id, "data": {}})
            return True, [ToAll(closed)] if known else []
        log = Log("comm.close_withheld", {"client": event.client, "comm_id": comm_id})
        return False, [*self._answer(event), log]

    def _answer(
        self, event: ClientSent, content: bytes | None = None, buffers: tuple[Part, ...] = ()
    ) -> list[Command]:
        """What a kernel would publish: busy, perhaps a comm_msg, idle."""
        said = []
        if content is not None:
            said.append(self._answers.comm("comm_msg", event, content, buffers))
        return self._answers.published(event, said)

    # The kernel

    def kernel_sent(self, message: Message, at: float) -> None:
        """Record a comm message that the kernel published."""
        content = read(message)
        if content is None:
            return
        if message.msg_type == "comm_open":
            self.comms.open(message, content, None, at)
            self.holders.opened(content.comm_id, None, at)
        elif message.msg_type == "comm_close":
            self.comms.close(content.comm_id)
            self.holders.closed(content.comm_id)
        else:
            self.echoes.heard(message, content)
            if content.fields is not None and content.method in ("update", "echo_update"):
                self.comms.fold(content.comm_id, content.fields)

    def idled(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with a message: perhaps an update that it did not repeat."""
        update = self.echoes.settled(msg_id)
        if update is None:
            return []
        self.comms.fold(update.comm_id, update.fields)
        return [] if self.echoes.kernel_echoes else [ToAll(self._mirrored(update, at))]

    def _mirrored(self, update: Update, at: float) -> Message:
        state, paths, buffers = write(update.fields)
        data = {"method": "echo_update", "state": state, "buffer_paths": paths}
        content = {"data": data, "comm_id": update.comm_id}
        event = msgspec.structs.replace(update.event, at=at)
        return self._answers.comm("comm_msg", event, content, tuple(buffers))

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms."""
        self.comms.clear()
        self.holders.clear()
        self.echoes.clear()
        self._controls.clear()
