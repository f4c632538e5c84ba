"""Interrupts in a session: held back, by signal or by message, answered.

The machine is in ``interrupts.py``; here it becomes commands.
"""

from __future__ import annotations

import msgspec

from proxy.message import Channel, ClientId
from proxy.session.answers import Answers, error
from proxy.session.asker import Asker
from proxy.session.commands import Command, Log, SignalKernel, StartTimer, ToKernel
from proxy.session.events import ClientSent
from proxy.session.executions import Executions
from proxy.session.interrupts import HOLD_SECONDS, REPLY_SECONDS, Interrupts
from proxy.session.kernel_info import KernelInfo
from proxy.session.requests import Requests

REPLY = {"status": "ok"}


class InterruptDesk:
    """All interrupts of one kernel. A kernel that is not ready has nothing to interrupt."""

    def __init__(
        self,
        executions: Executions,
        requests: Requests,
        kernel_info: KernelInfo,
        answers: Answers,
        asker: Asker,
    ) -> None:
        self.interrupts = Interrupts()
        self._executions = executions
        self._requests = requests
        self._kernel_info = kernel_info
        self._answers = answers
        self._asker = asker

    def client_sent(self, event: ClientSent, *, ready: bool) -> list[Command]:
        """Take a client's interrupt_request: at once, or held where it hits another's cell."""
        running = self._executions.running()
        if running is None or running.event.client == event.client:
            return self._interrupt(event, ready=ready)
        if self.interrupts.holds(event.client, running):
            return self._answers.reply_to(event, REPLY)  # one is as good as two
        return [StartTimer(self.interrupts.hold(event, running), HOLD_SECONDS)]

    def nobody_sent(self, at: float) -> list[Command]:
        """Interrupt for somebody who is no client: Ctrl-C, the command line."""
        self._executions.interrupted()
        if self._by == "signal":
            return [SignalKernel()]
        return [self._asker.ask(Channel.CONTROL, "interrupt_request", {}, at)]

    def process_signalled(self, endpoint: bytes, at: float) -> list[Command]:
        """Take a SIGINT that was meant for the kernel of the frontend with these ports."""
        running = self._executions.running()
        if running is None:
            return self.nobody_sent(at)
        return [StartTimer(self.interrupts.hold(endpoint, running), HOLD_SECONDS)]

    def withdraw(self, client: ClientId) -> list[Command]:
        """A client's shutdown follows: what was held of it is answered, and not done."""
        return self._answer_undone(self.interrupts.withdraw(client))

    def endpoint_closed(self, endpoint: bytes) -> list[Command]:
        """Ports were taken away: what was held of those there is answered, and not done."""
        return self._answer_undone(self.interrupts.close(endpoint))

    def _answer_undone(self, held: list[ClientSent]) -> list[Command]:
        return [c for interrupt in held for c in self._answers.reply_to(interrupt, REPLY)]

    def timer_fired(self, key: str, at: float, *, ready: bool) -> list[Command]:
        """One was held for long enough, or waited for its answer for too long."""
        if (held := self.interrupts.release(key)) is not None:
            interrupt, target = held
            meant = target is self._executions.running()
            if isinstance(interrupt, bytes):
                return self.nobody_sent(at) if meant and ready else []
            interrupt = msgspec.structs.replace(interrupt, at=at)
            if meant:
                return self._interrupt(interrupt, ready=ready)
            return self._answers.reply_to(interrupt, REPLY)
        request = self.interrupts.overdue(key)
        if request is None or not self._requests.give_up(request):
            return []
        content = error("InterruptUnanswered", "the kernel did not answer the interrupt")
        return self._answers.give_up(request, content, at)

    def abandon(self) -> list[Command]:
        """The kernel is gone: answer those that were held."""
        held = self.interrupts.clear()
        return [c for interrupt in held for c in self._answers.replied(interrupt, REPLY)]

    def _interrupt(self, event: ClientSent, *, ready: bool) -> list[Command]:
        if not ready:
            return self._answers.reply_to(event, REPLY)
        log = Log("kernel.interrupted", {"client": event.client, "by": self._by})
        self._executions.interrupted(event.client)
        if self._by == "signal":
            return [SignalKernel(), *self._answers.reply_to(event, REPLY), log]
        request = self._requests.add(event.client, event.channel, event.message)
        return [
            ToKernel(event.channel, event.client, event.message),
            StartTimer(self.interrupts.sent(request), REPLY_SECONDS),
            log,
        ]

    @property
    def _by(self) -> str:
        by_message = self.interrupts.mode == "message" or self._kernel_info.interrupts_by_message
        return "message" if by_message else "signal"
