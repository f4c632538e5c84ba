"""Widgets in a session: what a late joiner is told of their states, and how the ledger learns them.

The machines are in ``echoes.py`` (what the kernel does not repeat), ``doubts.py`` (what only the
kernel knows) and ``widgets.py`` (what ipywidgets would answer); here they become commands.
"""

from __future__ import annotations

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId, Part
from proxy.session import widgets
from proxy.session.answers import Answers
from proxy.session.asker import Asker
from proxy.session.clients import Clients
from proxy.session.commands import Command, StartTimer, ToAll
from proxy.session.comms import Comm, CommMessage, Comms, Fields, read, write
from proxy.session.diary import Diary
from proxy.session.doubts import Doubts
from proxy.session.echoes import SETTLE_SECONDS, TIMER, Echoes, Update
from proxy.session.events import ClientSent
from proxy.session.facts import CommChanged
from proxy.session.holders import Holders


class WidgetDesk:
    """The states of all widgets of one kernel."""

    def __init__(
        self,
        comms: Comms,
        holders: Holders,
        clients: Clients,
        answers: Answers,
        asker: Asker,
        diary: Diary,
    ) -> None:
        self.echoes = Echoes()
        self.doubts = Doubts()
        self._comms = comms
        self._holders = holders
        self._clients = clients
        self._answers = answers
        self._asker = asker
        self._diary = diary
        self._timer_runs = False
        self._behind_doubts: list[tuple[ClientSent, str]] = []
        """Requests for all states that came while one of them was in doubt."""

    # Frontends

    def opened_by_client(self, event: ClientSent, content: CommMessage) -> None:
        """A frontend opens a widget: it says of the state what it wants otherwise."""
        self.doubts.arise(event.message.msg_id, content.comm_id)

    def state_requested(self, event: ClientSent, comm: Comm, *, busy: bool) -> list[Command] | None:
        """Answer a request for one state. None: the kernel knows better, and answers soon."""
        changes = comm.comm_id in self.doubts or self.echoes.concern(comm.comm_id)
        if changes and not busy:
            self.doubts.asked(comm.comm_id, event.message.msg_id)
            return None
        return self.answer(event, comm.comm_id, *widgets.one_state(comm))

    def all_states_requested(
        self, event: ClientSent, control_id: str, *, busy: bool
    ) -> list[Command]:
        """Answer a request for all states on a control comm."""
        if busy or not self.doubts:
            return self._all_states(event, control_id)
        self._behind_doubts.append((event, control_id))
        return self._ask(event.at) + self._run_timer()

    def _ask(self, at: float) -> list[Command]:
        """Ask the kernel for what is in doubt."""
        commands: list[Command] = []
        for comm_id in self.doubts.to_ask:
            content = {"comm_id": comm_id, "data": {"method": "request_state"}}
            ask = self._asker.ask(Channel.SHELL, "comm_msg", content, at)
            self.doubts.asked(comm_id, ask.message.msg_id)
            commands.append(ask)
        return commands

    def update_sent(self, event: ClientSent, content: CommMessage) -> list[Command]:
        """A frontend's comm_msg goes to a widget."""
        overdue = self.echoes.sent(event, content)
        commands = [] if overdue is None else self._settle(overdue, event.at)
        return commands + (self._run_timer() if len(self.echoes) else [])

    def answer(
        self,
        event: ClientSent,
        comm_id: str,
        content: bytes | None = None,
        buffers: tuple[Part, ...] = (),
    ) -> list[Command]:
        """What a kernel would publish: busy, perhaps a comm_msg, idle."""
        said = []
        if content is not None:
            said.append(self._answers.comm(comm_id, "comm_msg", event, content, buffers))
        return self._answers.published(event, said)

    def _all_states(self, event: ClientSent, control_id: str) -> list[Command]:
        for comm in self._comms:
            if comm.is_widget:
                self._holders.used(comm.comm_id, event.client)
        return self.answer(event, control_id, *widgets.all_states(control_id, self._comms))

    def left(self, client: ClientId) -> None:
        """A client is gone."""
        self._behind_doubts = [held for held in self._behind_doubts if held[0].client != client]

    # The kernel

    def kernel_said(self, message: Message, content: CommMessage, at: float) -> None:
        """The kernel published a comm_msg."""
        self.echoes.heard(message, content)
        if content.fields is not None and content.method in ("update", "echo_update"):
            self._fold(content.comm_id, content.fields, at)

    def kernel_failed(self, error: Message) -> None:
        """The kernel published a traceback: perhaps over an update that it refused."""
        cause = error.parent.msg_id if error.parent is not None else None
        comm_id = self.echoes.refused(cause) if cause is not None else None
        if cause is not None and comm_id is not None:
            self.doubts.arise(cause, comm_id)

    def awaits(self, msg_id: MsgId) -> bool:
        """Whether it matters that the kernel is done with this message."""
        return msg_id in self.echoes or bool(self.doubts)

    def idled(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with a message: what it did not repeat holds."""
        update = self.echoes.settled(msg_id)
        commands = self._settle(update, at) if update is not None else []
        self.doubts.idled(msg_id)
        if self._behind_doubts:
            commands += self._ask(at) if self.doubts else self._answer_behind(at, at)
        return commands

    def is_for_kmux(self, message: Message) -> bool:
        """Whether this came of a question of kmux's own about one widget, and is no news.

        It is the answer, or what the kernel prints over the question ("No such comm").
        """
        asked = self.doubts.asked_by(message.parent.msg_id) if message.parent is not None else None
        if asked is None or message.msg_type != "comm_msg":
            return asked is not None and message.msg_type in ("stream", "error")
        content = read(message)
        return content is not None and content.comm_id == asked

    def timer_fired(self, at: float) -> list[Command]:
        """Updates of which nothing was heard count as settled; doubts have lasted too long."""
        commands: list[Command] = []
        for update in self.echoes.overdue(at):
            commands += self._settle(update, at)
        commands += self._answer_behind(at, at - SETTLE_SECONDS)
        self._timer_runs = False
        waits = self.echoes.has_young or self._behind_doubts
        return commands + (self._run_timer() if waits else [])

    def closed(self, comm_id: str) -> None:
        """A comm is closed."""
        self.doubts.closed(comm_id)

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms."""
        self.echoes.clear()
        self.doubts.clear()
        self._behind_doubts.clear()

    def _answer_behind(self, at: float, until: float) -> list[Command]:
        """Answer who has asked for all states until then."""
        behind, self._behind_doubts = self._behind_doubts, []
        commands: list[Command] = []
        for event, control_id in behind:
            if event.at <= until:
                commands += self._all_states(msgspec.structs.replace(event, at=at), control_id)
            else:
                self._behind_doubts.append((event, control_id))
        return commands

    def _run_timer(self) -> list[Command]:
        if self._timer_runs:
            return []
        self._timer_runs = True
        return [StartTimer(TIMER, SETTLE_SECONDS)]

    def _fold(self, comm_id: str, fields: Fields, at: float) -> None:
        if self._comms.fold(comm_id, fields) and fields:
            self._diary.note(CommChanged(at=at, comm_id=comm_id, fields=fields))

    def _settle(self, update: Update, at: float) -> list[Command]:
        """Take what the kernel does not repeat for its state, and show it to the others."""
        comm = self._comms.get(update.comm_id)
        state_now = (comm.fields if comm is not None else None) or {}
        # ipywidgets takes no keys that the model does not have.
        fields = {key: field for key, field in update.fields.items() if key in state_now}
        is_news = any(state_now[key] != field for key, field in fields.items())
        self._fold(update.comm_id, fields, at)
        if not fields or self.echoes.kernel_echoes:
            return []
        if not self._clients.others_than(update.event.client):
            return []
        if update.is_overdue and not is_news:
            return []  # they were told when it was overdue
        state, paths, buffers = write(fields)
        data = {"method": "echo_update", "state": state, "buffer_paths": paths}
        content = msgspec.json.encode({"data": data, "comm_id": update.comm_id})
        event = msgspec.structs.replace(update.event, at=at)
        said = self._answers.comm(update.comm_id, "comm_msg", event, content, tuple(buffers))
        return [ToAll(said)]
