"""What a kernel reports, for tests to wait for."""

from __future__ import annotations

from proxy.errors import KernelProtocolError
from proxy.message import Channel, Message
from tests.inbox import Inbox


class Sink:
    """Writes down what a kernel reports."""

    def __init__(self) -> None:
        self.sent: Inbox[Message] = Inbox()
        self.published: list[Message] = []
        self.launched: Inbox[str] = Inbox()
        self.died: Inbox[str] = Inbox()
        self.was_ready = False
        self.found: list[bool] = []
        self.for_good: list[bool] = []
        self.prepared: list[str] = []

    def kernel_sent(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        self.sent.put(message)
        if channel is Channel.IOPUB:
            self.published.append(message)

    def kernel_rejected(self, channel: Channel, error: KernelProtocolError) -> None:
        raise error

    def kernel_preparing(self, line: str, language: str) -> None:
        self.prepared.append(line)

    def kernel_launched(
        self,
        interrupt_mode: str,
        found: bool = False,
        env_source: str = "",
        start_code: str = "",
    ) -> None:
        self.found.append(found)
        self.launched.put(interrupt_mode)

    def kernel_died(self, reason: str, for_good: bool = False) -> None:
        self.for_good.append(for_good)
        self.died.put(reason)

    def kernel_was_ready(self) -> bool:
        return self.was_ready
