"""What the channels of a kernel report. The runner implements it."""

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
