"""One shared kernel: composes the machines of this package. Events in, commands out.

A message's way is short: a frontend's request is forwarded or answered
(:meth:`Session._client_sent`), a kernel's iopub message goes to all and a reply to who asked
(:meth:`Session._kernel_sent`). Commands are carried out in order; what reaches frontends comes
first in each list. What needs more reading than the two headers is done when the turn is over
(:class:`events.TurnEnded`), behind what was sent in it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session import (
    clients,
    echoes,
    interrupts,
    kernel_info,
    mailbox,
    preparing,
    priming,
    queue,
    running,
    startup,
)
from proxy.session import events as ev
from proxy.session.asker import KMUX
from proxy.session.carrying import Carried, Carrying, Resumed
from proxy.session.comm_desk import COMM_TYPES
from proxy.session.commands import Command, Log, Record, ToAll, ToClient, ToKernel
from proxy.session.diary import Diary
from proxy.session.facts import Present
from proxy.session.life import KernelLife
from proxy.session.lifecycle import Policy, State
from proxy.session.machines import Machines
from proxy.session.onlookers import Onlookers
from proxy.session.presence import Presence
from proxy.session.shell_queue import State as ExecutionState
from proxy.session.subshell_desk import REQUESTS as SUBSHELL_REQUESTS

MAX_QUEUE_SHOWN = 1000


class Session:
    """The state of one shared kernel. ``ident`` goes into the ids of made-up messages."""

    def __init__(self, ident: str, policy: Policy | None = None, *, records: bool = False) -> None:
        """``records`` is whether facts are told (:class:`commands.Record`)."""
        self._diary = Diary(records)
        self.machines = m = Machines(ident, policy or Policy(), self._diary)
        self.changes = 0
        """Grows with each event after which :meth:`carried` may be another one."""
        self._carrying = Carrying(m, m.asker)
        self._life = KernelLife(m, self._carrying, self._client_sent)
        self._presence = Presence(m, self._life)
        self._onlookers = Onlookers(m.answers)
        self._handlers: dict[type[ev.Event], Callable[[Any], list[Command]]] = {
            ev.Restored: m.priming.restored,
            Resumed: lambda event: self._carrying.resume(event.carried, event.at),
            ev.EndpointBound: self._bound,
            ev.EndpointClosed: self._closed,
            ev.ClientSent: self._client_sent,
            ev.Connected: lambda event: m.mailbox.retry(),
            ev.ClientReturned: self._presence.returned,
            ev.ClientLeft: self._presence.left,
            ev.CancelRequested: lambda event: m.queue.cancel(event.client, event.msg_id, event.at),
            ev.Subscribed: self._presence.subscribed,
            ev.Undelivered: self._undelivered,
            ev.KernelSent: self._kernel_sent,
            ev.KernelPreparing: self._life.preparing,
            ev.KernelLaunched: self._life.launched,
            ev.KernelDied: self._life.died,
            ev.RestartRequested: lambda event: self._life.restart(event.at, event.clients),
            ev.InterruptRequested: self._interrupt_requested,
            ev.ShuttingDown: self._life.shutting_down,
            ev.TimerFired: self._timer_fired,
            ev.TurnEnded: lambda event: m.comms.catch_up(),
        }
        self._answered_here: dict[str, Callable[[ev.ClientSent], list[Command]]] = {
            "kernel_info_request": self._answer_kernel_info,
            "interrupt_request": self._interrupt_for_client,
            "shutdown_request": self._presence.shutdown,
            "comm_info_request": self._answer_comm_info,
            **dict.fromkeys(COMM_TYPES, self._comm_for_client),
            **dict.fromkeys(SUBSHELL_REQUESTS, self._subshell_for_client),
        }
        self._timers: dict[str, Callable[[float], list[Command]]] = {
            mailbox.RETRY_TIMER: lambda at: m.mailbox.retry(),
            queue.TIMER: m.queue.overdue,
            queue.STALL_TIMER: m.queue.stalled,
            clients.TIMER: self._presence.timer_fired,
            echoes.TIMER: m.comms.timer_fired,
            startup.PROVE_TIMER: self._life.overdue,
            preparing.STAND_IN_TIMER: self._life.stand_in_due,
            priming.TIMER: lambda at: [*m.priming.timer_fired(at), *self._life.primed()],
        }

    @property
    def execution_state(self) -> str:
        """The true status: starting, idle, busy, restarting or dead."""
        return self.machines.execution_state

    def present(self) -> Present:
        """Return what the session is now, for the record."""
        m = self.machines
        waiting = (e for e in m.queue.executions if e.state is ExecutionState.QUEUED)
        return Present(
            execution_state=m.execution_state,
            clients=dict(m.clients.attached),
            queue=tuple((e.event.client, e.msg_id) for e in islice(waiting, MAX_QUEUE_SHOWN)),
            holders=m.comms.holders.news(),
        )

    def carried(self, at: float) -> Carried:
        """Return what is on its way, for a session that goes on with this kernel."""
        return self._carrying.carried(at)

    @property
    def last_published(self) -> list[MsgId]:
        """The msg_ids of the last messages on iopub."""
        return list(self._carrying.last_published)

    @property
    def ended(self) -> bool:
        """Whether this session is over, and the kernel not to be started again."""
        return self.machines.lifecycle.state is State.ENDING

    @property
    def is_behind(self) -> bool:
        """Whether there is work to do when the turn is over."""
        return self.machines.comms.is_behind

    def handle(self, event: ev.Event) -> list[Command]:
        """Take in one event and return what to do, in order."""
        kind = type(event)
        if kind is not ev.KernelSent or event.channel is not Channel.IOPUB:  # type: ignore[attr-defined]
            self.changes += kind is not ev.TurnEnded
        commands = self._handlers[kind](event)
        if self._diary.facts:
            return [*commands, Record(self._diary.take())]
        return commands

    # Frontends

    def _bound(self, event: ev.EndpointBound) -> list[Command]:
        self.machines.ports.bound(event.ports)
        if event.read_only:
            self._onlookers.tags.add(event.tag)
        return []

    def _closed(self, event: ev.EndpointClosed) -> list[Command]:
        self._onlookers.tags.discard(event.tag)
        return self.machines.interrupts.endpoint_closed(event.tag)

    def _client_sent(self, event: ev.ClientSent) -> list[Command]:
        if self._onlookers.tags and event.client[0] in self._onlookers.tags:
            refusal = self._onlookers.refusal(event)
            if refusal is not None:
                return refusal
        if event.channel is Channel.STDIN:
            return self._answer_prompt(event)
        header = event.message.header
        if self.machines.priming.holds_shell_of(event):
            return []
        if header.subshell_id is not None:
            answer = self._misaddressed(event)
            if answer is not None:
                return answer
        here = self._answered_here.get(header.msg_type)
        return self._forward(event) if here is None else here(event)

    def _misaddressed(self, event: ev.ClientSent) -> list[Command] | None:
        """Deal with a request for a subshell that is not there, or not any more.

        None where it is there, or the message is about a comm: that one's subshell counts.
        """
        m = self.machines
        if not m.is_ready or not event.message.header.msg_type.endswith("_request"):
            return None
        answer = m.subshells.misaddressed(event)
        if answer is None and not m.subshells.knows(event.message.header.subshell_id):
            return m.queue.pass_by(event)  # the kernel says so, without taking it up
        return answer

    def _forward(self, event: ev.ClientSent) -> list[Command]:
        m = self.machines
        if not m.is_ready:
            return self._life.hold(event)
        if m.queue.has_room(event):
            return m.queue.submit(event)
        return m.answers.refuse(event, *queue.TOO_MANY)

    def _answer_prompt(self, event: ev.ClientSent) -> list[Command]:
        asked = event.message.parent.msg_id if event.message.parent is not None else None
        prompt = self.machines.prompts.answer(event.client, asked)
        if prompt is not None:
            self.machines.mailbox.withdraw(prompt.msg_id)
            return [ToKernel(Channel.STDIN, event.client, event.message)]
        return [Log("stdin.answer_ignored", {"client": event.client}, "warning")]

    def _answer_kernel_info(self, event: ev.ClientSent) -> list[Command]:
        info = self.machines.kernel_info
        content = info.content or self.machines.preparing.stand_in()
        if content is None:
            return self._life.hold(event)
        if not kernel_info.is_question(event.message):
            return self._forward(event)
        return self.machines.answers.reply_to(event, content, info.metadata)

    def _answer_comm_info(self, event: ev.ClientSent) -> list[Command]:
        m = self.machines
        if not m.is_ready:
            return self._life.hold(event)
        if m.priming.hold(event):
            return []
        answer = m.comms.info(event)
        return self._forward(event) if answer is None else answer

    def _comm_for_client(self, event: ev.ClientSent) -> list[Command]:
        m = self.machines
        if not m.is_ready:
            return self._life.hold(event)
        if m.priming.hold(event):
            return []
        if not m.queue.has_room(event):
            return m.answers.refuse(event, *queue.TOO_MANY)
        forward, commands = m.comms.client_sent(event, busy=m.runs_a_cell)
        return [*self._forward(event), *commands] if forward else commands

    def _subshell_for_client(self, event: ev.ClientSent) -> list[Command]:
        answer = None
        commands: list[Command] = []
        if self.machines.is_ready and event.channel is Channel.CONTROL:
            commands = self.machines.comms.catch_up()  # what published last on which
            answer = self.machines.subshells.client_sent(event)
        return [*commands, *(self._forward(event) if answer is None else answer)]

    def _interrupt_for_client(self, event: ev.ClientSent) -> list[Command]:
        return self.machines.interrupts.client_sent(event, ready=self.machines.is_ready)

    def _interrupt_requested(self, event: ev.InterruptRequested) -> list[Command]:
        m = self.machines
        if not m.is_ready:
            return []
        if event.endpoint:
            return m.interrupts.process_signalled(event.endpoint, event.at)
        return m.interrupts.nobody_sent(event.at)

    def _undelivered(self, event: ev.Undelivered) -> list[Command]:
        if self.machines.clients.is_gone(event.client):
            return []
        return self.machines.mailbox.keep(event.client, event.channel, event.message)

    # The kernel

    def _kernel_sent(self, event: ev.KernelSent) -> list[Command]:
        m, message = self.machines, event.message
        if event.channel is Channel.IOPUB:
            return self._kernel_published(message, event.at)
        if event.channel is Channel.STDIN:
            return self._kernel_prompted(event)
        request = m.requests.of(message, event.routing)
        if request is None:
            return self._unrequested(event)
        # Not all that comes here answers: Deno refuses a comm with a comm_close on shell.
        msg_type = message.header.msg_type
        if msg_type == "connect_reply":
            message = m.ports.put_into(message)
        to_client = ToClient(request.client, request.channel, message)
        if msg_type in COMM_TYPES:
            m.comms.kernel_sent(message, event.at)
        if not msg_type.endswith("_reply"):
            return [to_client] if request.client != KMUX else []
        if not m.requests.answered(request):
            return []  # kmux had given up waiting for it
        if request.client == KMUX:
            return self._life.answered_kmux(event.channel, message, event.at)
        passes, commands = m.queue.replied(request, message, event.at)
        if message.parent is not None and message.parent.subshell_id is not None:
            commands += m.subshells.settled(message.parent.subshell_id, event.at)
        if msg_type == "create_subshell_reply":
            more, waited = m.subshells.kernel_created(request, message, event.at)
            commands += more
            for waiting in waited:
                commands += self._client_sent(waiting)
        return [to_client, *commands] if passes else commands

    def _kernel_published(self, message: Message, at: float) -> list[Command]:
        m = self.machines
        commands: list[Command] = [ToAll(message)]
        msg_type = message.header.msg_type
        self._carrying.last_published.append(message.header.msg_id)
        if self._carrying.awaits:
            self._carrying.published(message)
        if message.parent is not None and message.parent.session == m.asker.session:
            quiet = self._life.kmux_heard(message, at)
            if quiet is not None:
                return quiet
        if msg_type == "status":
            if not m.voice.knows_topics:
                m.voice.learn_topics(message)
            idle = m.status.observe(message)
            if idle is not None:
                m.requests.idled(idle)
                m.running.idled(idle)
                commands += m.queue.idled(message, at)
                commands += m.comms.idled(idle, at)
                if message.parent is not None and message.parent.subshell_id is not None:
                    commands += m.subshells.settled(message.parent.subshell_id, at)
                if len(m.prompts) and (prompt := m.prompts.close(idle)) is not None:
                    m.mailbox.withdraw(prompt.msg_id)
                if m.status.runs_cell:
                    commands.append(ToAll(m.answers.true_status(at)))
        elif msg_type in running.KEPT:
            m.running.published(message)
            m.comms.kernel_showed(message, at)
            if msg_type == "error" and len(m.comms.widgets.echoes):
                m.comms.widgets.kernel_failed(message)
        elif msg_type in COMM_TYPES:
            m.comms.kernel_sent(message, at)
        elif msg_type == "iopub_welcome":
            commands.clear()  # meant for kmux's own subscription
        if not m.startup.heard:
            commands += self._life.heard(message, at)
        return commands

    def _kernel_prompted(self, event: ev.KernelSent) -> list[Command]:
        m = self.machines
        request = m.requests.of(event.message, event.routing)
        client = request.client if request else ClientId(event.routing)
        if len(client) > 1:
            return [*m.prompts.ask(client, event.message), *self._presence.asked(client, event.at)]
        return [_unroutable(event)]

    def _unrequested(self, event: ev.KernelSent) -> list[Command]:
        if self.machines.lifecycle.state in (State.RESTARTING, State.ENDING):
            return []  # its request was answered when the kernel was given up
        if len(event.routing) > 1:  # asked before kmux was restarted
            return [ToClient(ClientId(event.routing), event.channel, event.message)]
        return [] if event.routing == KMUX else [_unroutable(event)]

    def _timer_fired(self, event: ev.TimerFired) -> list[Command]:
        timer = self._timers.get(event.key)
        if timer is not None:
            return timer(event.at)
        m = self.machines
        if event.key.startswith(interrupts.TIMER):
            return m.interrupts.timer_fired(event.key, event.at, ready=m.is_ready)
        return []


def _unroutable(event: ev.KernelSent) -> Log:
    values = {"channel": event.channel, "msg_type": event.message.msg_type}
    return Log("message.unroutable", values, "warning")
