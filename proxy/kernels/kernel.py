"""What a session needs of its kernel, wherever that came from."""

from __future__ import annotations

from typing import Protocol

from proxy.message import Channel, Message


class Kernel(Protocol):
    """A kernel for a session. :meth:`run` is its life; the rest is called by the session."""

    @property
    def pid(self) -> int | None:
        """The kernel's process, where there is one on this machine that is ours."""

    async def run(self) -> int | None:
        """Live until the end. Returns the exit status, where there is one.

        Raises :class:`KernelGone` where there is no kernel to begin with. When cancelled, nothing
        that it started is left behind.
        """

    def send(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        """Send to the kernel; without one, the message is dropped."""

    def signal(self, number: int) -> None:
        """Send a signal to the kernel's process group, soon."""

    def restart(self) -> None:
        """Have another kernel take this one's place."""

    def end(self) -> None:
        """Let go of the kernel: one that is ours is made to end."""

    def leave(self) -> None:
        """Let go of the kernel, which lives on."""

    def end_when_gone(self) -> None:
        """Launch no other kernel; this one ends when whoever asked for it makes it end."""
