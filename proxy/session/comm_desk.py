"""Comms in a session: recorded, shared between frontends, answered for a kernel that is busy.

The machines are in ``comms.py`` (the ledger), ``holders.py`` (whose close counts), ``echoes.py``
(what the kernel does not repeat) and ``widgets.py`` (what ipywidgets would answer); here they
become commands.

What the kernel publishes is read behind: it is on its way to the frontends first, and the ledger
catches up when the turn is over, or when somebody asks for what is in it.

A control comm (``jupyter.widget.control``, by which JupyterLab asks for all states) never reaches
the kernel where kmux can answer: ipywidgets has one for everybody, and answers on whichever was
opened last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId, Part
from proxy.session import widgets
from proxy.session.answers import Answers
from proxy.session.asker import Asker
from proxy.session.clients import Clients
from proxy.session.commands import Command, Log, StartTimer, ToAll
from proxy.session.comms import WIDGET_TARGET, CommMessage, Comms, read, write
from proxy.session.echoes import SETTLE_SECONDS, TIMER, Echoes, Update
from proxy.session.events import ClientSent
from proxy.session.holders import Holders
from proxy.session.subshell_desk import SubshellDesk

COMM_TYPES = frozenset({"comm_open", "comm_msg", "comm_close"})
MAX_CONTROLS = 1000
"""Control comms that are open; frontends close theirs when they have their answer."""


class _InfoRequest(msgspec.Struct, frozen=True):
    target_name: str | None = None


_info_decoder = msgspec.json.Decoder(_InfoRequest)


class CommDesk:
    """All comms of one kernel."""

    def __init__(
        self, clients: Clients, subshells: SubshellDesk, answers: Answers, asker: Asker
    ) -> None:
        self.comms = Comms()
        self.holders = Holders()
        self.echoes = Echoes()
        self._clients = clients
        self._subshells = subshells
        self._answers = answers
        self._asker = asker
        self._controls: dict[str, ClientId] = {}
        self._has_widgets = False
        """Whether this kernel ever had one, and so ipywidgets with its control target."""
        self._unread: deque[tuple[Message, float]] = deque()
        self._timer_runs = False
        self.closed_meanwhile: set[str] | None = None
        """While the ledger is being filled: what was closed since that began."""

    # Frontends

    def info(self, event: ClientSent) -> list[Command]:
        """Answer a comm_info_request."""
        commands = self.catch_up()
        asked = event.message.content_as(_info_decoder) or _InfoRequest()
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
            forward, more = False, self._control(event, content)
        elif msg_type == "comm_close":
            forward, more = self._closed_by_client(event, content)
        else:
            forward, more = self._said_by_client(event, content)
        return forward, commands + more

    def _opened_by_client(
        self, event: ClientSent, content: CommMessage, *, busy: bool
    ) -> tuple[bool, list[Command]]:
        if content.target_name == widgets.CONTROL_TARGET and (busy or self._has_widgets):
            self._controls[content.comm_id] = event.client
            if len(self._controls) > MAX_CONTROLS:
                del self._controls[next(iter(self._controls))]
            return False, self._answer(event)
        return True, self._open(event.message, content, event.client, event.at)

    def _control(self, event: ClientSent, content: CommMessage) -> list[Command]:
        if event.message.msg_type == "comm_close":
            del self._controls[content.comm_id]
            return self._answer(event)
        if content.method == "request_states":
            return self._all_states(event, content)
        return self._answer(event)

    def _closed_by_client(
        self, event: ClientSent, content: CommMessage
    ) -> tuple[bool, list[Command]]:
        comm_id = content.comm_id
        if not self.holders.closes(comm_id, event.client, event.at):
            log = Log("comm.close_withheld", {"client": event.client, "comm_id": comm_id})
            return False, [*self._answer(event), log]
        commands: list[Command] = []
        if comm_id in self.comms and self._clients.others_than(event.client):
            closed = {"comm_id": comm_id, "data": {}}
            commands.append(ToAll(self._answers.comm("comm_close", event, closed)))
        return True, commands + self._close(comm_id, event.at)

    def _said_by_client(
        self, event: ClientSent, content: CommMessage
    ) -> tuple[bool, list[Command]]:
        self.holders.used(content.comm_id, event.client)
        comm = self.comms.get(content.comm_id)
        if comm is None:
            return True, []
        if content.method == "request_state" and comm.is_widget:
            return False, self._answer(event, *widgets.one_state(comm))
        opened_early = comm.target_name == widgets.CONTROL_TARGET and self._has_widgets
        if content.method == "request_states" and opened_early:
            return False, self._all_states(event, content)
        if not comm.is_widget:
            return True, []
        overdue = self.echoes.sent(event, content)
        commands = [] if overdue is None else self._settle(overdue, event.at)
        if len(self.echoes) and not self._timer_runs:
            self._timer_runs = True
            commands.append(StartTimer(TIMER, SETTLE_SECONDS))
        return True, commands

    def _all_states(self, event: ClientSent, content: CommMessage) -> list[Command]:
        for comm in self.comms:
            if comm.is_widget:
                self.holders.used(comm.comm_id, event.client)
        return self._answer(event, *widgets.all_states(content.comm_id, self.comms))

    def _answer(
        self, event: ClientSent, content: bytes | None = None, buffers: tuple[Part, ...] = ()
    ) -> list[Command]:
        """What a kernel would publish: busy, perhaps a comm_msg, idle."""
        said = []
        if content is not None:
            said.append(self._answers.comm("comm_msg", event, content, buffers))
        return self._answers.published(event, said)

    def left(self, client: ClientId, at: float) -> list[Command]:
        """A client is gone: the kernel is told of the comms that only it held."""
        commands = self.catch_up()
        for comm_id in self.holders.left(client):
            closed = {"comm_id": comm_id, "data": {}}
            commands.append(self._asker.ask(Channel.SHELL, "comm_close", closed, at))
            commands += self._close(comm_id, at)
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
        content = read(message)
        if content is None:
            return []
        if message.msg_type == "comm_close":
            return self._close(content.comm_id, at)
        commands: list[Command] = []
        if message.msg_type == "comm_open":
            commands = self._open(message, content, None, at)
        else:
            self.echoes.heard(message, content)
            if content.fields is not None and content.method in ("update", "echo_update"):
                self.comms.fold(content.comm_id, content.fields)
        subshell_id = message.parent.subshell_id if message.parent is not None else None
        if content.comm_id not in self.comms:
            return commands
        return commands + self._subshells.published(content.comm_id, subshell_id, at)

    def idled(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with a message: perhaps an update that it did not repeat."""
        if msg_id not in self.echoes:
            return []
        commands = self.catch_up()
        update = self.echoes.settled(msg_id)
        return commands if update is None else commands + self._settle(update, at)

    def timer_fired(self, at: float) -> list[Command]:
        """Updates of which nothing was heard count as settled."""
        commands = self.catch_up()
        for update in self.echoes.overdue(at):
            commands += self._settle(update, at)
        self._timer_runs = self.echoes.has_young
        if self._timer_runs:
            commands.append(StartTimer(TIMER, SETTLE_SECONDS))
        return commands

    def _settle(self, update: Update, at: float) -> list[Command]:
        """Take what the kernel does not repeat for its state, and show it to the others."""
        comm = self.comms.get(update.comm_id)
        state_now = (comm.fields if comm is not None else None) or {}
        # ipywidgets takes no keys that the model does not have.
        fields = {key: field for key, field in update.fields.items() if key in state_now}
        is_news = any(state_now[key] != field for key, field in fields.items())
        self.comms.fold(update.comm_id, fields)
        if not fields or self.echoes.kernel_echoes:
            return []
        if not self._clients.others_than(update.event.client):
            return []
        if update.is_overdue and not is_news:
            return []  # they were told when it was overdue
        state, paths, buffers = write(fields)
        data = {"method": "echo_update", "state": state, "buffer_paths": paths}
        content = {"data": data, "comm_id": update.comm_id}
        event = msgspec.structs.replace(update.event, at=at)
        return [ToAll(self._answers.comm("comm_msg", event, content, tuple(buffers)))]

    def record_open(self, message: Message, content: CommMessage, at: float) -> None:
        """Record a comm that the kernel opened before kmux knew it, or its state."""
        if content.comm_id in self.comms:
            self.comms.open(message, content)
            self._has_widgets |= content.fields is not None
        else:
            self._open(message, content, None, at)

    def _open(
        self, message: Message, content: CommMessage, opener: ClientId | None, at: float
    ) -> list[Command]:
        forgotten = self.comms.open(message, content)
        self.holders.opened(content.comm_id, opener, at)
        self._has_widgets |= content.target_name == WIDGET_TARGET and content.fields is not None
        return [] if forgotten is None else self._close(forgotten.comm_id, at)

    def _close(self, comm_id: str, at: float) -> list[Command]:
        if self.closed_meanwhile is not None:
            self.closed_meanwhile.add(comm_id)
        self.comms.close(comm_id)
        self.holders.closed(comm_id)
        return self._subshells.closed(comm_id, at)

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms."""
        self.comms.clear()
        self.holders.clear()
        self.echoes.clear()
        self._controls.clear()
        self._unread.clear()
        self._has_widgets = False
