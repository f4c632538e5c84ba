"""Comms in a session: recorded, shared between frontends, answered for a kernel that is busy.

The machines are in ``comms.py`` (the ledger) and ``holders.py`` (whose close counts); here they
become commands. What is a widget's goes to ``widget_desk.py``.

What the kernel publishes is read behind: it is on its way to the frontends first, and the ledger
catches up when the turn is over, or when somebody asks for what is in it. What comes between comm
messages is told the record in its place among them: an Output widget takes what a cell shows from
one comm message to another.

A control comm (``jupyter.widget.control``, by which JupyterLab asks for all states) never reaches
the kernel where kmux can answer: ipywidgets has one for everybody, and answers on whichever was
opened last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.message import JSON_ERRORS, Channel, ClientId, Message, MsgId
from proxy.session.answers import Answers
from proxy.session.asker import Asker
from proxy.session.clients import Clients
from proxy.session.commands import Command, Log, ToAll
from proxy.session.comms import WIDGET_TARGET, CommMessage, Comms, read
from proxy.session.diary import Diary
from proxy.session.events import ClientSent
from proxy.session.facts import CommClosed, CommOpened, Published
from proxy.session.holders import Holders
from proxy.session.subshell_desk import SubshellDesk
from proxy.session.widget_desk import WidgetDesk
from proxy.session.widgets import CONTROL_TARGET, CONTROL_VERSION

COMM_TYPES = frozenset({"comm_open", "comm_msg", "comm_close"})
MAX_CONTROLS = 1000
"""Control comms that are open; frontends close theirs when they have their answer."""


class _InfoRequest(msgspec.Struct, frozen=True):
    target_name: Any = None


class _Metadata(msgspec.Struct, frozen=True):
    """What is read of a comm_open's metadata."""

    version: str = ""


_info_decoder = msgspec.json.Decoder(_InfoRequest)
_metadata_decoder = msgspec.json.Decoder(_Metadata)


class CommDesk:
    """All comms of one kernel."""

    def __init__(
        self,
        clients: Clients,
        subshells: SubshellDesk,
        answers: Answers,
        asker: Asker,
        diary: Diary,
    ) -> None:
        self.comms = Comms()
        self.holders = Holders()
        self.widgets = WidgetDesk(self.comms, self.holders, clients, answers, asker, diary)
        self._clients = clients
        self._subshells = subshells
        self._answers = answers
        self._asker = asker
        self._diary = diary
        self._controls: dict[str, ClientId] = {}
        self._has_widgets = False
        """Whether this kernel ever had one, and so ipywidgets with its control target."""
        self._unread: deque[tuple[Message, float]] = deque()
        """Comm messages, and outputs that came behind one."""
        self.closed_meanwhile: set[str] | None = None
        """While the ledger is being filled: what was closed since that began."""

    # Frontends

    def info(self, event: ClientSent) -> list[Command] | None:
        """Answer a comm_info_request. None: it is none that can be read."""
        asked = event.message.content_as(_info_decoder)
        if asked is None:
            return None
        commands = self.catch_up()
        return commands + self._answers.reply_to(event, self.comms.info(asked.target_name))

    def client_sent(self, event: ClientSent, *, busy: bool) -> tuple[bool, list[Command]]:
        """Take a frontend's comm message. Returns whether the kernel is to have it, and more."""
        commands = self.catch_up()
        content = read(event.message)
        if content is None:
            return True, commands
        msg_type = event.message.msg_type
        if msg_type == "comm_open":
            forward, more = self._opened_by_client(event, content, busy=busy)
        elif content.comm_id in self._controls:
            forward, more = False, self._control(event, content, busy=busy)
        elif msg_type == "comm_close":
            forward, more = self._closed_by_client(event, content)
        else:
            forward, more = self._said_by_client(event, content, busy=busy)
        return forward, commands + more

    def _opened_by_client(
        self, event: ClientSent, content: CommMessage, *, busy: bool
    ) -> tuple[bool, list[Command]]:
        if content.target_name == CONTROL_TARGET and (busy or self._has_widgets):
            if not _speaks_control(event.message):
                return True, []  # ipywidgets closes it
            self._controls[content.comm_id] = event.client
            if len(self._controls) > MAX_CONTROLS:
                del self._controls[next(iter(self._controls))]
            return False, self._took_up(event)
        if event.channel is Channel.CONTROL or not content.target_name:
            return True, []  # ipykernel does not open it
        commands = self._open(event.message, content, event.client, event.at)
        if content.target_name == WIDGET_TARGET and content.fields is not None:
            self.widgets.opened_by_client(event, content)
        return True, commands

    def _control(self, event: ClientSent, content: CommMessage, *, busy: bool) -> list[Command]:
        if event.message.msg_type == "comm_close":
            del self._controls[content.comm_id]
            return self._took_up(event)
        if content.method == "request_states":
            return self.widgets.all_states_requested(event, content.comm_id, busy=busy)
        return self._took_up(event)

    def _closed_by_client(
        self, event: ClientSent, content: CommMessage
    ) -> tuple[bool, list[Command]]:
        comm_id = content.comm_id
        if not self.holders.closes(comm_id, event.client, event.at):
            log = Log("comm.close_withheld", {"client": event.client, "comm_id": comm_id})
            return False, [*self._took_up(event), log]
        commands: list[Command] = []
        if comm_id in self.comms and self._clients.others_than(event.client):
            closed = {"comm_id": comm_id, "data": {}}
            commands.append(ToAll(self._answers.comm(comm_id, "comm_close", event, closed)))
        return True, commands + self._close(comm_id, event.at)

    def _said_by_client(
        self, event: ClientSent, content: CommMessage, *, busy: bool
    ) -> tuple[bool, list[Command]]:
        self.holders.used(content.comm_id, event.client)
        comm = self.comms.get(content.comm_id)
        if comm is None:
            return True, []
        if content.method == "request_state" and comm.is_widget:
            answer = self.widgets.state_requested(event, comm, busy=busy)
            return answer is None, answer or []
        opened_early = comm.target_name == CONTROL_TARGET and self._has_widgets
        if content.method == "request_states" and opened_early:
            return False, self.widgets.all_states_requested(event, content.comm_id, busy=busy)
        return True, self.widgets.update_sent(event, content) if comm.is_widget else []

    def _took_up(self, event: ClientSent) -> list[Command]:
        """What a kernel publishes over a message that needs no answer."""
        return self._answers.published(event, [])

    def left(self, client: ClientId, at: float) -> list[Command]:
        """A client is gone: the kernel is told of the comms that only it held."""
        commands = self.catch_up()
        for comm_id in self.holders.left(client):
            closed = {"comm_id": comm_id, "data": {}}
            commands.append(self._asker.ask(Channel.SHELL, "comm_close", closed, at))
            commands += self._close(comm_id, at)
        self.widgets.left(client)
        for comm_id in [i for i, owner in self._controls.items() if owner == client]:
            del self._controls[comm_id]
        return commands

    def opened_so_far(self) -> Iterator[Message]:
        """The comm_opens that a newcomer has missed, in order, with the present state."""
        for comm in self.comms:
            if self.holders.is_kernels(comm.comm_id):
                content, buffers = comm.present()
                yield msgspec.structs.replace(
                    comm.opened, raw_content=content, buffers=buffers, signed_by=None
                )

    # The kernel

    def kernel_sent(self, message: Message, at: float) -> None:
        """The kernel sent a comm message. It is read later."""
        self._unread.append((message, at))

    def kernel_showed(self, message: Message, at: float) -> None:
        """The kernel published an output: the record is told, in the order in which it came."""
        if self._unread:
            self._unread.append((message, at))
        else:
            self._diary.note(Published(at=at, message=message))

    @property
    def is_behind(self) -> bool:
        """Whether there is something to catch up with."""
        return bool(self._unread)

    def catch_up(self) -> list[Command]:
        """Record what the kernel sent."""
        commands: list[Command] = []
        while self._unread:
            commands += self._read(*self._unread.popleft())
        return commands

    def _read(self, message: Message, at: float) -> list[Command]:
        if message.msg_type not in COMM_TYPES:
            self._diary.note(Published(at=at, message=message))
            return []
        content = read(message)
        if content is None:
            return []
        if message.msg_type == "comm_close":
            return self._close(content.comm_id, at)
        commands: list[Command] = []
        if message.msg_type == "comm_open":
            commands = self._open(message, content, None, at)
        else:
            self.widgets.kernel_said(message, content, at)
            self._has_widgets |= self.comms.is_widget(content.comm_id)
        subshell_id = message.parent.subshell_id if message.parent is not None else None
        if content.comm_id not in self.comms:
            return commands
        return commands + self._subshells.published(content.comm_id, subshell_id, at)

    def idled(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with a message."""
        if not self.widgets.awaits(msg_id):
            return []
        commands = self.catch_up()
        return commands + self.widgets.idled(msg_id, at)

    def timer_fired(self, at: float) -> list[Command]:
        """The time of :data:`echoes.TIMER` is over."""
        commands = self.catch_up()
        return commands + self.widgets.timer_fired(at)

    def record_open(self, message: Message, content: CommMessage, at: float) -> None:
        """Record a comm that the kernel opened before kmux knew it, or its state."""
        if content.comm_id in self.comms:
            self.comms.open(message, content)
            self._note_open(message, content, None, at)
            self._has_widgets |= content.fields is not None
        else:
            self._open(message, content, None, at)

    def restore(
        self, message: Message, content: CommMessage, opener: ClientId | None, at: float
    ) -> None:
        """Know a comm again that was open when kmux ended. It is recorded already."""
        self.comms.open(message, content)
        self.holders.opened(content.comm_id, opener, at)
        self._has_widgets |= opener is None and self.comms.is_widget(content.comm_id)

    def forget(self, comm_id: str, at: float) -> list[Command]:
        """The kernel does not have this comm any more."""
        return self._close(comm_id, at)

    def _open(
        self, message: Message, content: CommMessage, opener: ClientId | None, at: float
    ) -> list[Command]:
        forgotten = self.comms.open(message, content)
        self._note_open(message, content, opener, at)
        self.holders.opened(content.comm_id, opener, at)
        if opener is None:  # what a frontend opens the kernel may refuse
            self._has_widgets |= self.comms.is_widget(content.comm_id)
        return [] if forgotten is None else self._close(forgotten.comm_id, at)

    def _note_open(
        self, message: Message, content: CommMessage, opener: ClientId | None, at: float
    ) -> None:
        opened = CommOpened(
            at=at,
            comm_id=content.comm_id,
            target_name=content.target_name,
            opener=opener,
            message=message,
            fields=dict(content.fields) if content.fields is not None else None,
        )
        self._diary.note(opened)

    def _close(self, comm_id: str, at: float) -> list[Command]:
        if self.closed_meanwhile is not None:
            self.closed_meanwhile.add(comm_id)
        if self.comms.close(comm_id) is not None:
            self._diary.note(CommClosed(at=at, comm_id=comm_id))
        self.holders.closed(comm_id)
        self.widgets.closed(comm_id)
        return self._subshells.closed(comm_id, at)

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms."""
        self.comms.clear()
        self.holders.clear()
        self.widgets.clear()
        self._controls.clear()
        self._unread.clear()
        self._has_widgets = False


def _speaks_control(message: Message) -> bool:
    """Whether a comm_open on the control target is of a version that ipywidgets takes."""
    try:
        version = _metadata_decoder.decode(message.raw_metadata).version
    except JSON_ERRORS:
        return False
    return version.partition(".")[0] == CONTROL_VERSION.partition(".")[0]
