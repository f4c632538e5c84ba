"""One shared kernel: composes the machines of this package. Events in, commands out.

A message's way is short: a frontend's request is forwarded or answered
(:meth:`Session._client_sent`), a kernel's iopub message goes to all and a reply to who asked
(:meth:`Session._kernel_sent`).
Commands are carried out in order; what reaches frontends comes first in each list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from proxy.message import Channel, ClientId, Message, Origin
from proxy.session import events as ev
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
from proxy.session.kernel_info import KernelInfo
from proxy.session.lifecycle import Lifecycle, Policy, State
from proxy.session.mailbox import RETRY_TIMER, Mailbox
from proxy.session.requests import Request, Requests
from proxy.session.status import KernelStatus
from proxy.session.stdin import Prompts

KMUX = ClientId((b"kmux",))
"""Who asks what kmux itself asks of the kernel."""

PROVE_TIMER = "prove"
PROVE_SECONDS = 0.3
PROVE_ATTEMPTS = 30
"""After some 10 s without a word on iopub a kernel is taken to publish nothing, and used."""

INTERRUPT_TIMER = "interrupt "
INTERRUPT_REPLY_SECONDS = 5.0
"""Some kernels answer nothing on control; their askers get an answer after this time."""

MAX_HELD = 10_000
"""Requests that wait for a starting kernel."""


class _Shutdown(msgspec.Struct, frozen=True):
    restart: bool = False


_shutdown_decoder = msgspec.json.Decoder(_Shutdown)


class Session:
    """The state of one shared kernel. ``ident`` goes into the ids of made-up messages."""

    def __init__(self, ident: str, policy: Policy | None = None) -> None:
        self.lifecycle = Lifecycle(policy or Policy())
        self.status = KernelStatus()
        self.requests = Requests()
        self.kernel_info = KernelInfo()
        self.prompts = Prompts()
        self.mailbox = Mailbox()
        self._kernel_voice = Composer(ident)
        self._own_voice = Composer(f"{ident}-kmux", "kmux")
        self._interrupt_mode = "signal"
        self._held: list[ev.ClientSent] = []
        self._heard_iopub = False
        self._proofs = 0
        self._handlers: dict[type[ev.Event], Callable[[Any], list[Command]]] = {
            ev.ClientSent: self._client_sent,
            ev.ClientReturned: self._client_returned,
            ev.ClientLeft: self._client_left,
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
        self._own_requests: dict[str, Callable[[ev.ClientSent], list[Command]]] = {
            "kernel_info_request": self._answer_kernel_info,
            "interrupt_request": self._interrupt_for_client,
            "shutdown_request": self._shutdown_for_client,
        }

    @property
    def execution_state(self) -> str:
        """The true status: starting, idle, busy, restarting or dead."""
        if self.lifecycle.state is State.READY:
            return "busy" if self.status.busy_with else "idle"
        if self.lifecycle.state in (State.RESTARTING, State.DEAD):
            return str(self.lifecycle.state)
        return "starting" if self.lifecycle.holds else "dead"

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
        own = self._own_requests.get(event.message.header.msg_type)
        return self._forward(event) if own is None else own(event)

    def _forward(self, event: ev.ClientSent) -> list[Command]:
        state = self.lifecycle.state
        if state is State.READY:
            if self.requests.full:
                return self._refuse(event, "TooManyRequests", "too many requests wait already")
            self.requests.add(event.client, event.channel, event.message)
            return [ToKernel(event.channel, event.client, event.message)]
        if self.lifecycle.holds:
            if len(self._held) >= MAX_HELD:
                return self._refuse(event, "TooManyRequests", "too many requests wait already")
            self._held.append(event)
            return []
        return self._refuse(event, "KernelDied", self.lifecycle.cause or "the kernel has ended")

    def _answer_prompt(self, event: ev.ClientSent) -> list[Command]:
        if self.prompts.answer(event.client):
            return [ToKernel(Channel.STDIN, event.client, event.message)]
        return [Log("stdin.answer_ignored", {"client": event.client}, "warning")]

    def _answer_kernel_info(self, event: ev.ClientSent) -> list[Command]:
        if self.kernel_info.known:
            return self._kernel_info_reply(
                event.client, event.channel, event.message.origin, event.at
            )
        if not self.lifecycle.holds:
            return self._refuse(event, "KernelDied", self.lifecycle.cause)
        if len(self.kernel_info.waiting) < MAX_HELD:
            self.kernel_info.waiting.append((event.client, event.channel, event.message.origin))
        return []

    def _kernel_info_reply(
        self, client: ClientId, channel: Channel, origin: Origin, at: float
    ) -> list[Command]:
        info = self.kernel_info
        return self._reply(client, channel, origin, info.content or b"{}", at, info.metadata)

    def _interrupt_for_client(self, event: ev.ClientSent) -> list[Command]:
        if self.lifecycle.state is not State.READY:
            return self._reply_to(event, {"status": "ok"})
        log = Log("kernel.interrupted", {"client": event.client, "by": self._interrupts})
        if self._interrupts == "signal":
            return [SignalKernel(), *self._reply_to(event, {"status": "ok"}), log]
        timer = StartTimer(f"{INTERRUPT_TIMER}{event.message.msg_id}", INTERRUPT_REPLY_SECONDS)
        return [*self._forward(event), timer, log]

    def _shutdown_for_client(self, event: ev.ClientSent) -> list[Command]:
        shutdown = event.message.content_as(_shutdown_decoder) or _Shutdown()
        content = {"status": "ok", "restart": shutdown.restart}
        if event.owner:
            ready = self.lifecycle.state is State.READY
            answer = self._forward(event) if ready else self._reply_to(event, content)
            self.lifecycle.happen("end")
            return [*answer, EndSession(shutdown.restart)]
        if not shutdown.restart:
            log = Log("client.detached", {"client": event.client})
            return [*self._reply_to(event, content), log]
        log = Log("kernel.restart_requested", {"client": event.client})
        return [*self._reply_to(event, content), *self._restart(event.at), log]

    def _client_returned(self, event: ev.ClientReturned) -> list[Command]:
        kept = self.mailbox.deliver(event.client)
        return kept or self.prompts.ask_again(event.client)

    def _client_left(self, event: ev.ClientLeft) -> list[Command]:
        return []

    def _undelivered(self, event: ev.Undelivered) -> list[Command]:
        return self.mailbox.keep(event.client, event.channel, event.message)

    def _subscribed(self, event: ev.Subscribed) -> list[Command]:
        welcome = self._kernel_voice.message(
            "iopub_welcome",
            {"subscription": ""},
            event.at,  # JEP 65
        )
        status = self._true_status(event.at)
        return [ToSubscriber(event.subscriber, welcome), ToSubscriber(event.subscriber, status)]

    # The kernel

    def _kernel_sent(self, event: ev.KernelSent) -> list[Command]:
        message = event.message
        if event.channel is Channel.IOPUB:
            return self._kernel_published(message, event.at)
        if event.channel is Channel.STDIN:
            request = self.requests.of(message, event.routing)
            client = request.client if request else ClientId(event.routing)
            if len(client) > 1:
                return self.prompts.ask(client, message)
            return [_unroutable(event)]
        request = self.requests.answered_by(message, event.routing)
        if request is None:
            if self.lifecycle.state in (State.RESTARTING, State.ENDING):
                return []  # it was answered when the kernel was given up
            if len(event.routing) > 1:  # asked before kmux was restarted
                return [ToClient(ClientId(event.routing), event.channel, message)]
            return [] if event.routing == KMUX else [_unroutable(event)]
        if request.client == KMUX:
            return self._kernel_answered_kmux(message, event.at)
        return [ToClient(request.client, request.channel, message)]

    def _kernel_published(self, message: Message, at: float) -> list[Command]:
        commands: list[Command] = [ToAll(message)]
        msg_type = message.header.msg_type
        if msg_type == "status":
            idle = self.status.observe(message)
            if idle is not None:
                self.requests.idled(idle)
                if len(self.prompts) and (prompt := self.prompts.close(idle)) is not None:
                    self.mailbox.withdraw(prompt.msg_id)
        elif msg_type == "iopub_welcome":
            commands.clear()  # meant for kmux's own subscription
        if not self._heard_iopub:
            self._heard_iopub = True
            self._kernel_voice.learn(message)
            commands += self._prove(at)
        return commands

    def _kernel_answered_kmux(self, message: Message, at: float) -> list[Command]:
        if message.header.msg_type != "kernel_info_reply" or self.kernel_info.fresh:
            return []
        self._kernel_voice.learn(message)
        self.kernel_info.learn(message)
        return self._prove(at)

    def _kernel_launched(self, event: ev.KernelLaunched) -> list[Command]:
        if not self.lifecycle.happen("launched"):
            return []
        self._interrupt_mode = event.interrupt_mode
        self._forget_kernel()
        self._proofs = 0
        starting = self._kernel_voice.status("starting", event.at)
        return [ToAll(starting), *self._ask_kernel_info(event.at)]

    def _ask_kernel_info(self, at: float) -> list[Command]:
        ask = self._ask_kernel(Channel.SHELL, "kernel_info_request", {}, at)
        return [ask, StartTimer(PROVE_TIMER, PROVE_SECONDS)]

    def _ask_kernel(
        self, channel: Channel, msg_type: str, content: dict[str, Any], at: float
    ) -> ToKernel:
        """Send a request of kmux's own."""
        ask = self._own_voice.message(msg_type, content, at)
        self.requests.add(KMUX, channel, ask)
        return ToKernel(channel, KMUX, ask)

    def _prove(self, at: float) -> list[Command]:
        """Let the frontends' requests through once the kernel has answered and was heard."""
        unheard = not self._heard_iopub and self._proofs < PROVE_ATTEMPTS
        if not self.kernel_info.fresh or unheard or not self.lifecycle.happen("proven"):
            return []
        commands: list[Command] = [Log("kernel.ready", {"heard_iopub": self._heard_iopub})]
        for waiting in self.kernel_info.waiting:
            commands += self._kernel_info_reply(*waiting, at)
        self.kernel_info.waiting.clear()
        held, self._held = self._held, []
        for event in held:
            commands += self._client_sent(event)
        return commands

    def _kernel_died(self, event: ev.KernelDied) -> list[Command]:
        log = Log("kernel.died", {"reason": event.reason}, "warning")
        ending = self.lifecycle.state is State.ENDING
        again = self.lifecycle.die(event.reason, event.at)
        commands = self._abandon("KernelDied", event.reason, event.at)
        if again:
            restarting = self._kernel_voice.status("restarting", event.at)
            commands += [ToAll(restarting), log, RestartKernel()]
        elif ending:
            commands.append(log)
        elif self.lifecycle.policy.on_death == "end":
            # The frontend that runs kmux as its kernel decides. JupyterLab takes "dead" as final
            # and would not come back after its server has restarted the kernel.
            restarting = self._kernel_voice.status("restarting", event.at)
            commands += [ToAll(restarting), log, EndSession(False)]
        else:
            commands += [ToAll(self._kernel_voice.status("dead", event.at)), log]
            for held in self._held:
                commands += self._refuse(held, "KernelDied", event.reason)
            self._held.clear()
            for client, channel, origin in self.kernel_info.waiting:
                error = _error("KernelDied", event.reason)
                commands += self._reply(client, channel, origin, error, event.at)
            self.kernel_info.waiting.clear()
        return commands

    def _restart_requested(self, event: ev.RestartRequested) -> list[Command]:
        return self._restart(event.at)

    def _restart(self, at: float) -> list[Command]:
        if not self.lifecycle.happen("restart"):
            return []
        commands = self._abandon("KernelRestarted", "the kernel was restarted", at)
        commands.append(ToAll(self._kernel_voice.status("restarting", at)))
        ask = self._ask_kernel(Channel.CONTROL, "shutdown_request", {"restart": True}, at)
        return [*commands, ask, RestartKernel()]

    def _interrupt_requested(self, event: ev.InterruptRequested) -> list[Command]:
        if self.lifecycle.state is not State.READY:
            return []
        if self._interrupts == "signal":
            return [SignalKernel()]
        return [self._ask_kernel(Channel.CONTROL, "interrupt_request", {}, event.at)]

    def _shutting_down(self, event: ev.ShuttingDown) -> list[Command]:
        self.lifecycle.happen("end")
        commands = self._abandon("KernelEnded", "the kernel was shut down", event.at)
        content = {"restart": event.restart}
        return [*commands, self._ask_kernel(Channel.CONTROL, "shutdown_request", content, event.at)]

    def _timer_fired(self, event: ev.TimerFired) -> list[Command]:
        if event.key == RETRY_TIMER:
            return self.mailbox.retry()
        if event.key == PROVE_TIMER:
            if self.lifecycle.state is not State.STARTING or not self.kernel_info.fresh:
                return []  # a kernel that is still coming up has the question in its queue
            self._proofs += 1
            return self._prove(event.at) or self._ask_kernel_info(event.at)
        if event.key.startswith(INTERRUPT_TIMER):
            return self._interrupt_unanswered(event.key.removeprefix(INTERRUPT_TIMER), event.at)
        return []

    def _interrupt_unanswered(self, msg_id: str, at: float) -> list[Command]:
        for request in tuple(self.requests.waiting()):
            if request.origin.header.msg_id == msg_id:
                content = _error("InterruptUnanswered", "the kernel did not answer the interrupt")
                return self._give_up(request, content, at)
        return []

    # What kmux says in the kernel's name

    @property
    def _interrupts(self) -> str:
        by_message = self._interrupt_mode == "message" or self.kernel_info.interrupts_by_message
        return "message" if by_message else "signal"

    def _true_status(self, at: float) -> Message:
        return self._kernel_voice.status(self.execution_state, at, self.status.busy_with)

    def _reply_to(self, event: ev.ClientSent, content: dict[str, Any]) -> list[Command]:
        return self._reply(event.client, event.channel, event.message.origin, content, event.at)

    def _reply(
        self,
        client: ClientId,
        channel: Channel,
        origin: Origin,
        content: dict[str, Any] | bytes,
        at: float,
        metadata: bytes = b"{}",
    ) -> list[Command]:
        """Answer a request that the kernel never saw: busy, reply, idle, and the true status."""
        voice = self._kernel_voice
        reply_type = origin.header.msg_type.removesuffix("_request") + "_reply"
        reply = voice.message(reply_type, content, at, parent=origin, metadata=metadata)
        commands: list[Command] = [
            ToAll(voice.status("busy", at, origin)),
            ToClient(client, channel, reply),
            ToAll(voice.status("idle", at, origin)),
        ]
        if self.execution_state != "idle":
            commands.append(ToAll(self._true_status(at)))
        return commands

    def _refuse(self, event: ev.ClientSent, ename: str, evalue: str) -> list[Command]:
        if not event.message.header.msg_type.endswith("_request"):
            return [Log("message.refused", {"client": event.client, "why": evalue}, "warning")]
        return self._reply_to(event, _error(ename, evalue))

    def _give_up(self, request: Request, content: dict[str, Any], at: float) -> list[Command]:
        """Answer a request that the kernel was sent and will not answer any more."""
        voice, origin = self._kernel_voice, request.origin
        request.answered = True
        reply = voice.message(
            request.reply_type, content, at, parent=origin, metadata={"status": content["status"]}
        )
        idle = ToAll(voice.status("idle", at, origin))
        answer = ToClient(request.client, request.channel, reply)
        if request.idled:
            return [answer]
        if self.status.is_busy_with(origin.header.msg_id):
            return [answer, idle]
        return [ToAll(voice.status("busy", at, origin)), answer, idle]

    def _abandon(self, ename: str, evalue: str, at: float) -> list[Command]:
        """The kernel is gone: answer all that it was sent and did not answer.

        The cell that ran ends with an error; the cells that waited behind it are aborted, as
        ipykernel aborts its queue. The first one ran, even if its busy was lost with the kernel.
        The iopub side of each is closed with its idle.
        """
        commands: list[Command] = []
        cell_seen = False
        for request in tuple(self.requests.waiting()):
            if request.client == KMUX:
                continue
            header = request.origin.header
            is_cell = header.msg_type == "execute_request"
            begun = request.idled or self.status.is_busy_with(header.msg_id) or not cell_seen
            aborted = is_cell and not begun
            cell_seen |= is_cell
            content = {"status": "aborted"} if aborted else _error(ename, evalue)
            commands += self._give_up(request, content, at)
        self._forget_kernel()
        return commands

    def _forget_kernel(self) -> None:
        self.requests.clear()
        self.status.reset()
        self.prompts.clear()
        self._heard_iopub = False
        self.kernel_info.fresh = False


def _error(ename: str, evalue: str) -> dict[str, Any]:
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": []}


def _unroutable(event: ev.KernelSent) -> Log:
    values = {"channel": event.channel, "msg_type": event.message.msg_type}
    return Log("message.unroutable", values, "warning")
