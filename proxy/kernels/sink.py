"""What a kernel reports: its channels and its supervisor. The runner implements it."""

from __future__ import annotations

from typing import Protocol

from proxy.errors import KernelProtocolError
from proxy.message import Channel, Message


class KernelSink(Protocol):
    """Called from the loop of the socket set; must neither block nor raise."""

    def kernel_sent(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        """The kernel sent a valid message."""

    def kernel_rejected(self, channel: Channel, error: KernelProtocolError) -> None:
        """Frames of the kernel were dropped."""

    def kernel_preparing(self, line: str, language: str) -> None:
        """Something is done before a kernel can be launched: what, for a person."""

    def kernel_launched(
        self,
        interrupt_mode: str,
        found: bool = False,
        env_source: str = "",
        start_code: str = "",
    ) -> None:
        """A kernel process was started, or found running, and its channels are connected.

        ``start_code`` is what it is to run before anybody else's.
        """

    def kernel_died(self, reason: str, for_good: bool = False) -> None:
        """It ended on its own, or could not be started again. ``reason`` is for a person.

        ``for_good`` is whether no other is to be started before somebody asks for one.
        """

    def kernel_was_ready(self) -> bool:
        """Whether any kernel of this session ever answered."""
