"""One shared kernel: composes the machines of this package. Events in, commands out.

A message's way is short: a frontend's request is forwarded or answered
(:meth:`Session._client_sent`), a kernel's iopub message goes to all and a reply to who asked
(:meth:`Session._kernel_sent`). Commands are carried out in order; what reaches frontends comes
first in each list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from proxy.message import Channel, ClientId, Message, comes_back
from proxy.session import events as ev
from proxy.session.answers import Answers, error
from proxy.session.comm_desk import COMM_TYPES, CommDesk
from proxy.session.commands import (
    Command,
    EndSession,
    Log,
    RestartKernel,
    SignalKernel,
    StartTimer,
    ToAll,
    ToClient,
    ToKernel,
    ToSubscriber,
)
from proxy.session.composer import Composer
from proxy.session.interrupts import HOLD_SECONDS, REPLY_SECONDS, Interrupts
from proxy.session.kernel_info import KernelInfo
from proxy.session.lifecycle import Lifecycle, Policy, State
from proxy.session.mailbox import RETRY_TIMER, Mailbox
from proxy.session.queue import TIMER as QUEUE_TIMER
from proxy.session.queue import Queue
from proxy.session.requests import Requests
from proxy.session.startup import PROVE_SECONDS, PROVE_TIMER, Startup
from proxy.session.status import KernelStatus
from proxy.session.stdin import Prompts

KMUX = ClientId((b"kmux",))
"""Who asks what kmux itself asks of the kernel."""

INTERRUPT_REPLY = {"status": "ok"}
TOO_MANY = ("TooManyRequests", "too many requests wait for the kernel already; try again later")


class _Shutdown(msgspec.Struct, frozen=True):
    restart: bool = False


_shutdown_decoder = msgspec.json.Decoder(_Shutdown)


class Session:
    """The state of one shared kernel. ``ident`` goes into the ids of made-up messages."""

    def __init__(self, ident: str, policy: Policy | None = None) -> None:
        self.lifecycle = Lifecycle(policy or Policy())
        self.startup = Startup()
        self.status = KernelStatus()
        self.requests = Requests()
        self.kernel_info = KernelInfo()
        self.prompts = Prompts()
        self.mailbox = Mailbox()
        self._voice = Composer(ident)
        self._own_voice = Composer(f"{ident}-kmux", "kmux")
        self._answers = Answers(self._voice, self.status, lambda: self.execution_state)
        self.queue = Queue(self.requests, self._answers)
        self.interrupts = Interrupts()
        self.desk = CommDesk(self._answers)
        self._owners: set[ClientId] = set()
        self._handlers: dict[type[ev.Event], Callable[[Any], list[Command]]] = {
            ev.ClientSent: self._client_sent,
            ev.ClientReturned: self._client_returned,
            ev.ClientLeft: self._client_left,
            ev.CancelRequested: self._cancel_requested,
            ev.Subscribed: self._subscribed,
            ev.Undelivered: self._undelivered,
            ev.KernelSent: self._kernel_sent,
            ev.KernelLaunched: self._kernel_launched,
            ev.KernelDied: self._kernel_died,
            ev.RestartRequested: self._restart_requested,
            ev.InterruptRequested: self._interrupt_requested,
            ev.ShuttingDown: self._shutting_down,
            ev.TimerFired: self._timer_fired,
        }
        self._answered_here: dict[str, Callable[[ev.ClientSent], list[Command]]] = {
            "kernel_info_request": self._answer_kernel_info,
            "interrupt_request": self._interrupt_for_client,
            "shutdown_request": self._shutdown_for_client,
            "comm_info_request": self._answer_comm_info,
            **dict.fromkeys(COMM_TYPES, self._comm_for_client),
        }

    @property
    def execution_state(self) -> str:
        """The true status: starting, idle, busy, restarting or dead."""
        state = self.lifecycle.state
        if state in (State.READY, State.ENDING):
            return "busy" if self.status.busy_with else "idle"
        if state in (State.RESTARTING, State.DEAD):
            return str(state)
        return "starting"

    @property
    def ended(self) -> bool:
        """Whether this session is over, and the kernel not to be started again."""
        return self.lifecycle.state is State.ENDING

    def handle(self, event: ev.Event) -> list[Command]:
        """Take in one event and return what to do, in order."""
        return self._handlers[type(event)](event)

    # Frontends

    def _client_sent(self, event: ev.ClientSent) -> list[Command]:
        if event.channel is Channel.STDIN:
            return self._answer_prompt(event)
        here = self._answered_here.get(event.message.header.msg_type)
        return self._forward(event) if here is None else here(event)

    def _forward(self, event: ev.ClientSent) -> list[Command]:
        if self.lifecycle.state is State.READY:
            if self.queue.has_room(event):
                return self.queue.submit(event)
            return self._answers.refuse(event, *TOO_MANY)
        return self._hold(event)

    def _hold(self, event: ev.ClientSent) -> list[Command]:
        """Keep a request for a kernel that is coming up; refuse it where none is."""
        if not self.lifecycle.holds:
            return self._answers.refuse(event, "KernelDied", self._cause)
        return [] if self.startup.hold(event) else self._answers.refuse(event, *TOO_MANY)

    def _answer_prompt(self, event: ev.ClientSent) -> list[Command]:
        if self.prompts.answer(event.client):
            return [ToKernel(Channel.STDIN, event.client, event.message)]
        return [Log("stdin.answer_ignored", {"client": event.client}, "warning")]

    def _answer_kernel_info(self, event: ev.ClientSent) -> list[Command]:
        info = self.kernel_info
        if info.content is None:
            return self._hold(event)
        return self._answers.reply_to(event, info.content, info.metadata)

    def _answer_comm_info(self, event: ev.ClientSent) -> list[Command]:
        ready = self.lifecycle.state is State.READY
        return self.desk.info(event) if ready else self._hold(event)

    def _comm_for_client(self, event: ev.ClientSent) -> list[Command]:
        if self.lifecycle.state is not State.READY:
            return self._hold(event)
        busy = self.status.busy_with is not None
        forward, commands = self.desk.client_sent(event, busy=busy)
        return [*self._forward(event), *commands] if forward else commands

    def _interrupt_for_client(self, event: ev.ClientSent) -> list[Command]:
        running = self.queue.executions.running()
        if running is None or running.event.client == event.client:
            return self._interrupt_now(event)
        return [StartTimer(self.interrupts.hold(event, running), HOLD_SECONDS)]

    def _interrupt_now(self, event: ev.ClientSent) -> list[Command]:
        if self.lifecycle.state is not State.READY:
            return self._answers.reply_to(event, INTERRUPT_REPLY)
        log = Log("kernel.interrupted", {"client": event.client, "by": self._interrupts_by})
        self.queue.executions.interrupted(event.client)
        if self._interrupts_by == "signal":
            return [SignalKernel(), *self._answers.reply_to(event, INTERRUPT_REPLY), log]
        request = self.requests.add(event.client, event.channel, event.message)
        return [
            ToKernel(event.channel, event.client, event.message),
            StartTimer(self.interrupts.sent(request), REPLY_SECONDS),
            log,
        ]

    def _shutdown_for_client(self, event: ev.ClientSent) -> list[Command]:
        shutdown = event.message.content_as(_shutdown_decoder) or _Shutdown()
        reply = {"status": "ok", "restart": shutdown.restart}
        answer: list[Command] = []
        for interrupt in self.interrupts.withdraw(event.client):
            answer += self._answers.reply_to(interrupt, INTERRUPT_REPLY)
        if event.client in self._owners:
            ready = self.lifecycle.state is State.READY
            answer += self.queue.submit(event) if ready else self._answers.reply_to(event, reply)
            self.lifecycle.happen("end")
            return [*answer, *self._refuse_held(), EndSession(shutdown.restart)]
        answer += self._answers.reply_to(event, reply)
        if not shutdown.restart:
            answer += self.queue.drop(event.client)
            return [*answer, Log("client.detached", {"client": event.client})]
        log = Log("kernel.restart_requested", {"client": event.client})
        return [*answer, *self._restart(event.at), log]

    def _client_returned(self, event: ev.ClientReturned) -> list[Command]:
        client = event.client
        if event.owner:
            self._owners.add(client)
        if comes_back(client):
            self.desk.holders.attached(client, event.at)
        again = self.prompts.ask_again(client, partial(self.mailbox.holds, client))
        return [*self.mailbox.deliver(client), *again]

    def _client_left(self, event: ev.ClientLeft) -> list[Command]:
        client = event.client
        self._owners.discard(client)
        if self.lifecycle.policy.on_leave == "keep" and comes_back(client):
            return []
        return self.queue.drop(client)

    def _cancel_requested(self, event: ev.CancelRequested) -> list[Command]:
        return self.queue.cancel(event.client, event.msg_id)

    def _undelivered(self, event: ev.Undelivered) -> list[Command]:
        return self.mailbox.keep(event.client, event.channel, event.message)

    def _subscribed(self, event: ev.Subscribed) -> list[Command]:
        # JEP 65; jupyter_server throws its first iopub message away, so the status comes second.
        welcome = self._voice.message("iopub_welcome", {"subscription": ""}, event.at)
        status = self._answers.true_status(event.at)
        return [ToSubscriber(event.subscriber, welcome), ToSubscriber(event.subscriber, status)]

    # The kernel's messages

    def _kernel_sent(self, event: ev.KernelSent) -> list[Command]:
        message = event.message
        if event.channel is Channel.IOPUB:
            return self._kernel_published(message, event.at)
        if event.channel is Channel.STDIN:
            return self._kernel_prompted(event)
        request = self.requests.of(message, event.routing)
        if request is None:
            return self._unrequested(event)
        # Not all that comes here answers: Deno refuses a comm with a comm_close on shell.
        to_client = ToClient(request.client, request.channel, message)
        if message.header.msg_type in COMM_TYPES:
            self.desk.kernel_sent(message, event.at)
        if not message.header.msg_type.endswith("_reply"):
            return [to_client] if request.client != KMUX else []
        if not self.requests.answered(request):
            return []  # kmux had given up waiting for it
        if request.client == KMUX:
            return self._kernel_answered_kmux(message)
        passes, commands = self.queue.replied(request, message)
        return [to_client, *commands] if passes else commands

    def _kernel_published(self, message: Message, at: float) -> list[Command]:
        commands: list[Command] = [ToAll(message)]
        msg_type = message.header.msg_type
        if msg_type == "status":
            idle = self.status.observe(message)
            if idle is not None:
                self.requests.idled(idle)
                commands += self.queue.idled(message)
                commands += self.desk.idled(idle, at)
                if len(self.prompts) and (prompt := self.prompts.close(idle)) is not None:
                    self.mailbox.withdraw(prompt.msg_id)
        elif msg_type in COMM_TYPES:
            self.desk.kernel_sent(message, at)
        elif msg_type == "iopub_welcome":
            commands.clear()  # meant for kmux's own subscription
        if not self.startup.heard:
            self.startup.heard = True
            self._voice.learn(message)
            commands += self._prove()
        return commands

    def _kernel_prompted(self, event: ev.KernelSent) -> list[Command]:
        request = self.requests.of(event.message, event.routing)
        client = request.client if request else ClientId(event.routing)
        if len(client) > 1:
            return self.prompts.ask(client, event.message)
        return [_unroutable(event)]

    def _unrequested(self, event: ev.KernelSent) -> list[Command]:
        if self.lifecycle.state in (State.RESTARTING, State.ENDING):
            return []  # its request was answered when the kernel was given up
        if len(event.routing) > 1:  # asked before kmux was restarted
            return [ToClient(ClientId(event.routing), event.channel, event.message)]
        return [] if event.routing == KMUX else [_unroutable(event)]

    def _kernel_answered_kmux(self, message: Message) -> list[Command]:
        if message.header.msg_type != "kernel_info_reply" or self.startup.answered:
            return []
        self._voice.learn(message)
        self.kernel_info.learn(message)
        self.startup.answered = True
        return self._prove()

    # The kernel's life

    def _kernel_launched(self, event: ev.KernelLaunched) -> list[Command]:
        again = self.lifecycle.state is State.STARTING  # the last one found its ports taken
        if not self.lifecycle.happen("launched") and not again:
            return []
        self.interrupts.mode = event.interrupt_mode
        self.startup.begin()
        self._forget_kernel()
        return [self._answers.publish("starting", event.at), *self._ask_kernel_info(event.at)]

    def _ask_kernel_info(self, at: float) -> list[Command]:
        ask = self._ask_kernel(Channel.SHELL, "kernel_info_request", {}, at)
        return [ask, StartTimer(PROVE_TIMER, PROVE_SECONDS)]

    def _prove(self) -> list[Command]:
        """Let the frontends' requests through once the kernel has answered and was heard."""
        if not self.startup.proven or not self.lifecycle.happen("proven"):
            return []
        commands: list[Command] = [Log("kernel.ready", {"heard_iopub": self.startup.heard})]
        for event in self.startup.release():
            commands += self._client_sent(event)
        return commands

    def _kernel_died(self, event: ev.KernelDied) -> list[Command]:
        ending = self.lifecycle.state is State.ENDING
        log = Log("kernel.died", {"reason": event.reason}, "info" if ending else "warning")
        again = self.lifecycle.die(event.reason, event.at)
        commands = self._abandon("KernelDied", event.reason, event.at)
        if again:
            return [*commands, self._answers.publish("restarting", event.at), log, RestartKernel()]
        if ending:
            return [*commands, *self._refuse_held(), log]
        if self.lifecycle.policy.on_death == "end":
            # The frontend that runs kmux as its kernel decides. JupyterLab takes "dead" as final
            # and would not come back after its server has restarted the kernel.
            self.lifecycle.happen("end")
            state = self._answers.publish("restarting", event.at)
            return [*commands, *self._refuse_held(), state, log, EndSession(False)]
        return [*commands, *self._refuse_held(), self._answers.publish("dead", event.at), log]

    def _restart_requested(self, event: ev.RestartRequested) -> list[Command]:
        return self._restart(event.at)

    def _restart(self, at: float) -> list[Command]:
        if not self.lifecycle.happen("restart"):
            return []
        commands = self._abandon("KernelRestarted", "the kernel was restarted", at)
        ask = self._ask_kernel(Channel.CONTROL, "shutdown_request", {"restart": True}, at)
        return [*commands, self._answers.publish("restarting", at), ask, RestartKernel()]

    def _interrupt_requested(self, event: ev.InterruptRequested) -> list[Command]:
        if self.lifecycle.state is not State.READY:
            return []
        self.queue.executions.interrupted()
        if self._interrupts_by == "signal":
            return [SignalKernel()]
        return [self._ask_kernel(Channel.CONTROL, "interrupt_request", {}, event.at)]

    def _shutting_down(self, event: ev.ShuttingDown) -> list[Command]:
        self.lifecycle.happen("end")
        commands = self._abandon("KernelEnded", "the kernel was shut down", event.at)
        commands += self._refuse_held()
        content = {"restart": event.restart}
        return [*commands, self._ask_kernel(Channel.CONTROL, "shutdown_request", content, event.at)]

    def _timer_fired(self, event: ev.TimerFired) -> list[Command]:
        if event.key == RETRY_TIMER:
            return self.mailbox.retry()
        if event.key == QUEUE_TIMER:
            return self.queue.overdue(event.at)
        if event.key == PROVE_TIMER and self.lifecycle.state is State.STARTING:
            if self.startup.ask_again():
                return self._prove() or self._ask_kernel_info(event.at)
            return [StartTimer(PROVE_TIMER, PROVE_SECONDS)]
        if (held := self.interrupts.release(event.key)) is not None:
            interrupt, target = held
            interrupt = msgspec.structs.replace(interrupt, at=event.at)
            if target is self.queue.executions.running():
                return self._interrupt_now(interrupt)
            return self._answers.reply_to(interrupt, INTERRUPT_REPLY)
        request = self.interrupts.overdue(event.key)
        if request is None or not self.requests.answered(request):
            return []
        content = error("InterruptUnanswered", "the kernel did not answer the interrupt")
        return self._answers.give_up(request, content, event.at)

    @property
    def _interrupts_by(self) -> str:
        by_message = self.interrupts.mode == "message" or self.kernel_info.interrupts_by_message
        return "message" if by_message else "signal"

    @property
    def _cause(self) -> str:
        return self.lifecycle.cause or "the kernel was shut down"

    def _ask_kernel(
        self, channel: Channel, msg_type: str, content: dict[str, Any], at: float
    ) -> ToKernel:
        """Send a request of kmux's own."""
        ask = self._own_voice.message(msg_type, content, at)
        self.requests.add(KMUX, channel, ask)
        return ToKernel(channel, KMUX, ask)

    def _refuse_held(self) -> list[Command]:
        """No kernel will come up any more for what waits for one."""
        commands: list[Command] = []
        for event in self.startup.release():
            commands += self._answers.refuse(event, "KernelDied", self._cause)
        return commands

    def _abandon(self, ename: str, evalue: str, at: float) -> list[Command]:
        """The kernel is gone, or about to be: answer what it leaves unanswered."""
        passed_over = {KMUX}
        if self.lifecycle.policy.on_death == "end":
            # Who started kmux as its kernel sees it end, and draws its own conclusions, as with
            # any kernel: nbclient tells a dead kernel from a cell that failed.
            passed_over |= self._owners
        waiting = [r for r in self.requests.waiting() if r.client not in passed_over]
        commands = self._answers.abandon(waiting, ename, evalue, at)
        commands += self.queue.abandon(ename, evalue, passed_over)
        for interrupt in self.interrupts.clear():
            commands += self._answers.replied(interrupt, INTERRUPT_REPLY)
        self._forget_kernel()
        return commands

    def _forget_kernel(self) -> None:
        self.requests.clear()
        self.status.reset()
        self.interrupts.clear()
        self.desk.clear()
        for prompt in self.prompts.close_all():
            self.mailbox.withdraw(prompt.msg_id)


def _unroutable(event: ev.KernelSent) -> Log:
    values = {"channel": event.channel, "msg_type": event.message.msg_type}
    return Log("message.unroutable", values, "warning")
