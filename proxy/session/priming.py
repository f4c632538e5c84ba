"""A ledger that begins late: filled from a kernel that has lived before kmux knew it.

Theory: what a kernel has open it tells by comm_info_request, and ipywidgets tells the states of
all its models on a control comm (``request_states``), or of one on its own comm
(``request_state``, all that ipywidgets 7 knows). A busy kernel answers nothing on shell; ipykernel
then still answers comm_info on control, and the rest on a subshell.

    begin --> comm_info --> (subshell, where it is busy and can) --> all states --> done
                                                                        |            ^
                                              refused, or no answer:    +--> each ---+

Frontends' comm messages wait until it is done. What the kernel publishes for these questions is
for kmux alone. A step that is not answered within ``STEP_SECONDS`` is given up, and what is known
by then is the ledger: of a kernel that is busy and has no subshells it is what comm_info says,
and each model's state follows when it is idle. What is remembered from before kmux was started
(:class:`events.Restored`) holds until then, and nobody waits for such a kernel.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session import events as ev
from proxy.session import widgets
from proxy.session.asker import Asker
from proxy.session.comm_desk import COMM_TYPES, CommDesk
from proxy.session.commands import Command, Log, StartTimer, ToKernel
from proxy.session.comms import WIDGET_TARGET, CommMessage, read
from proxy.session.composer import Composer
from proxy.session.events import LASTING, ClientSent
from proxy.session.kernel_info import KernelInfo

TIMER = "priming"
STEP_SECONDS = 5.0
MAX_HELD = 10_000
_CONTROL_COMM = "kmux"


class Step(StrEnum):
    INFO = "comm_info"
    SUBSHELL = "subshell"
    ALL = "all states"
    EACH = "each state"
    DONE = "done"


class _Target(msgspec.Struct, frozen=True):
    target_name: str = ""


class _Info(msgspec.Struct, frozen=True):
    comms: dict[str, _Target] = {}


class _Created(msgspec.Struct, frozen=True):
    subshell_id: str


_info_decoder = msgspec.json.Decoder(_Info)
_created_decoder = msgspec.json.Decoder(_Created)


class Priming:
    """Fills the ledger of one kernel, once."""

    def __init__(
        self, comms: CommDesk, kernel_info: KernelInfo, voice: Composer, asker: Asker
    ) -> None:
        self.step = Step.DONE
        self._comms = comms
        self._kernel_info = kernel_info
        self._voice = voice
        self._asker = asker
        self._busy = False
        self._subshell_id: str | None = None
        self._has_control = False
        """Whether the kernel has kmux's control comm open."""
        self._awaited: MsgId | None = None
        """The message that opens or closes it, as long as the kernel is not done with that."""
        self._restored: ev.Restored | None = None
        """What is remembered of the kernel, until it is known which one it is."""
        self._remembered: set[str] = set()
        """Comms that are only remembered: the kernel has yet to say whether they are there."""
        self._missing: list[str] = []
        """The widgets whose state is not known yet."""
        self.held: list[ClientSent] = []

    def restored(self, event: ev.Restored) -> list[Command]:
        """Something is remembered of a kernel from before."""
        self._restored = event
        return []

    def remember(self, kernel_session: str, at: float) -> list[Command]:
        """It is known which kernel this is: what is remembered of it is true until it says more."""
        restored, self._restored = self._restored, None
        if restored is None or restored.kernel_session != kernel_session:
            return []
        for comm in restored.comms:
            message = self._voice.message("comm_open", comm.content, at, metadata=comm.metadata)
            message = msgspec.structs.replace(message, buffers=comm.buffers)
            content = CommMessage(comm.comm_id, comm.target_name, fields=comm.fields)
            self._comms.restore(message, content, comm.opener, at)
            self._remembered.add(comm.comm_id)
        return [Log("ledger.restored", {"comms": len(restored.comms)})]

    def begin(self, at: float, *, busy: bool) -> list[Command]:
        """The kernel answers, and may have comms of which nothing is known."""
        self.step = Step.INFO
        self._comms.closed_meanwhile = set()
        self._busy = busy
        channel = Channel.CONTROL if busy else Channel.SHELL
        return [self._asker.ask(channel, "comm_info_request", {}, at), self._timer()]

    def hold(self, event: ClientSent) -> bool:
        """Keep a frontend's comm message for later. Returns whether it must, and could, wait."""
        waits = self.step is not Step.DONE and len(self.held) < MAX_HELD
        if waits:
            self.held.append(event)
        return waits

    def holds_shell_of(self, event: ClientSent) -> bool:
        """Keep what a client sends on shell behind one that is kept: in its order."""
        if not self.held or event.channel is not Channel.SHELL:
            return False
        return any(held.client == event.client for held in self.held) and self.hold(event)

    def drop(self, client: ClientId) -> list[ClientSent]:
        """A client is gone. Returns what was held of it and would leave something behind."""
        dropped = [event for event in self.held if event.is_of(client, LASTING)]
        self.held = [event for event in self.held if not event.is_of(client, LASTING)]
        return dropped

    def is_for_kmux(self, message: Message) -> bool:
        """Whether what came of one of kmux's own messages is about its questions."""
        if message.header.msg_type not in COMM_TYPES:
            return False
        content = read(message)
        comm_id = content.comm_id if content is not None else None
        return comm_id == _CONTROL_COMM or comm_id in self._missing

    def release(self) -> list[ClientSent]:
        """What was held, where the ledger is filled by now; to be taken again."""
        if self.step is not Step.DONE:
            return []
        held, self.held = self.held, []
        return held

    def kernel_answered(self, reply: Message, at: float) -> list[Command]:
        """The kernel answered one of kmux's own requests."""
        if self.step is Step.INFO and reply.msg_type == "comm_info_reply":
            return self._informed(reply.content_as(_info_decoder) or _Info(), at)
        if self.step is Step.SUBSHELL and reply.msg_type == "create_subshell_reply":
            created = reply.content_as(_created_decoder)
            self._subshell_id = created.subshell_id if created is not None else None
            return self._ask_all(at)
        if reply.msg_type == "create_subshell_reply":
            return self._unwanted(reply, at)
        return []

    def _unwanted(self, reply: Message, at: float) -> list[Command]:
        """A subshell came too late."""
        created = reply.content_as(_created_decoder)
        if created is None:
            return []
        content = {"subshell_id": created.subshell_id}
        return [self._asker.ask(Channel.CONTROL, "delete_subshell_request", content, at)]

    def _informed(self, info: _Info, at: float) -> list[Command]:
        closed = self._comms.closed_meanwhile or set()
        commands: list[Command] = []
        for comm_id in self._remembered - info.comms.keys():
            commands += self._comms.forget(comm_id, at)
        for comm_id, comm in info.comms.items():
            if comm_id in closed:
                continue
            is_new = comm_id not in self._comms.comms
            if is_new:
                self._open(CommMessage(comm_id, comm.target_name), at)
            if comm.target_name == WIDGET_TARGET and (is_new or comm_id in self._remembered):
                self._missing.append(comm_id)
        self._comms.comms.put_first(info.comms)
        return commands + self._ask_for_states(at)

    def _ask_for_states(self, at: float) -> list[Command]:
        if not self._missing:
            return self._done(at)
        if self._busy and not self._kernel_info.has_subshells:
            if self._remembered.issuperset(self._missing):
                return [*self._done(at), *self._ask_each_one(at)]
            return self._ask_all(at)
        if self._busy:
            self.step = Step.SUBSHELL
            ask = self._asker.ask(Channel.CONTROL, "create_subshell_request", {}, at)
            return [ask, self._timer()]
        return self._ask_all(at)

    def _ask_all(self, at: float) -> list[Command]:
        self.step = Step.ALL
        self._has_control = True
        target = {"comm_id": _CONTROL_COMM, "target_name": widgets.CONTROL_TARGET, "data": {}}
        version = {"version": widgets.CONTROL_VERSION}  # ipywidgets refuses others
        opens = self._ask("comm_open", target, at, version)
        self._awaited = opens.message.msg_id
        return [opens, self._timer()]

    def heard(self, message: Message, at: float) -> list[Command]:
        """The kernel published something on a comm for one of kmux's own messages."""
        if self.step is Step.ALL:
            if message.msg_type == "comm_close":
                self._has_control = False
                return self._ask_each(at)
            for comm_id, fields in widgets.read_all_states(message).items():
                if comm_id not in self._comms.comms:
                    continue  # it is closed by now
                self._open(CommMessage(comm_id, WIDGET_TARGET, fields=fields), at)
                if comm_id in self._missing:
                    self._missing.remove(comm_id)
            return self._ask_each(at)
        content = read(message)
        if content is None or content.comm_id not in self._missing:
            return []
        if message.msg_type == "comm_close":
            self._comms.kernel_sent(message, at)
        if content.fields is None:
            return []
        self._open(CommMessage(content.comm_id, WIDGET_TARGET, fields=content.fields), at)
        self._missing.remove(content.comm_id)
        return [] if self._missing or self.step is Step.DONE else self._done(at)

    def _ask_each(self, at: float) -> list[Command]:
        self._missing = [comm_id for comm_id in self._missing if comm_id in self._comms.comms]
        if not self._missing:
            return self._done(at)
        self.step = Step.EACH
        return [*self._ask_each_one(at), self._timer()]

    def _ask_each_one(self, at: float) -> list[Command]:
        return [self._ask("comm_msg", _about(i, "request_state"), at) for i in self._missing]

    def timer_fired(self, at: float) -> list[Command]:
        """A step was not answered in time, if it is still the same."""
        if self.step is Step.SUBSHELL:
            return self._ask_all(at)
        if self.step is Step.ALL:
            return self._ask_each(at)
        return [] if self.step is Step.DONE else self._done(at)

    def _done(self, at: float) -> list[Command]:
        self.step = Step.DONE
        self._comms.closed_meanwhile = None
        self._remembered.clear()
        values = {"comms": len(self._comms.comms), "without_state": len(self._missing)}
        commands: list[Command] = [Log("ledger.primed", values)]
        if self._has_control:
            self._has_control = False
            close = self._ask("comm_close", {"comm_id": _CONTROL_COMM, "data": {}}, at)
            self._awaited = close.message.msg_id
            commands.append(close)
        elif self._awaited is None:
            commands += self._delete_subshell(at)
        return commands

    def idled(self, msg_id: MsgId, at: float) -> list[Command]:
        """The kernel is done with a message: the next one can follow."""
        if msg_id != self._awaited:
            return []
        self._awaited = None
        if self.step is Step.DONE:
            return self._delete_subshell(at)
        if self.step is not Step.ALL:
            return []
        # Not sooner: ipykernel looks a comm up before the comm_open ahead of it is done, and
        # complains on stderr.
        return [self._ask("comm_msg", _about(_CONTROL_COMM, "request_states"), at)]

    def _delete_subshell(self, at: float) -> list[Command]:
        if self._subshell_id is None:
            return []
        content = {"subshell_id": self._subshell_id}
        self._subshell_id = None
        return [self._asker.ask(Channel.CONTROL, "delete_subshell_request", content, at)]

    def abandon(self) -> list[ClientSent]:
        """The kernel is gone. Returns what was held."""
        self.step = Step.DONE
        self._comms.closed_meanwhile = None
        self._subshell_id = self._awaited = None
        self._has_control = False
        self._missing.clear()
        self._remembered.clear()
        return self.release()

    def _ask(
        self,
        msg_type: str,
        content: dict[str, Any],
        at: float,
        metadata: dict[str, Any] | None = None,
    ) -> ToKernel:
        return self._asker.ask(
            Channel.SHELL, msg_type, content, at, metadata=metadata, subshell_id=self._subshell_id
        )

    def _open(self, content: CommMessage, at: float) -> None:
        """Put a comm into the ledger as if its comm_open had been heard."""
        data: dict[str, Any] = {} if content.fields is None else {"state": {}, "buffer_paths": []}
        opened = {
            "comm_id": content.comm_id,
            "target_name": content.target_name,
            "target_module": None,
            "data": data,
        }
        metadata = {"version": widgets.PROTOCOL_VERSION} if content.fields is not None else {}
        message = self._voice.message("comm_open", opened, at, metadata=metadata)
        self._comms.record_open(message, content, at)

    def _timer(self) -> StartTimer:
        return StartTimer(TIMER, STEP_SECONDS)


def _about(comm_id: str, method: str) -> dict[str, Any]:
    """Make the content of a comm_msg that asks something."""
    return {"comm_id": comm_id, "data": {"method": method}}
