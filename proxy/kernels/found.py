"""A kernel that somebody else started: connected to, watched, and never ended by us.

It cannot be sent signals, and is not ours to restart. It is gone when its connections close.
"""

from __future__ import annotations

import math
import os

import trio
import zmq

from proxy.errors import KernelGone
from proxy.kernels.channels import KernelChannels
from proxy.kernels.eavesdropping import Early
from proxy.kernels.sink import KernelSink
from proxy.logs import log
from proxy.message import Channel, Message
from proxy.sockets import SocketSet
from proxy.wire.connection import ConnectionInfo

CONNECT_SECONDS = 5.0
LINGER_MS = 500


class FoundKernel:
    """A running kernel. See :class:`proxy.kernels.kernel.Kernel`."""

    pid = None

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        sockets: SocketSet,
        info: ConnectionInfo,
        sink: KernelSink,
        *,
        identity: str = "",
        goes_on: bool = False,
        early: Early | None = None,
    ) -> None:
        """``identity`` is kmux's at the kernel; empty: a new one. ``goes_on`` is whether an
        earlier kmux had it: then it is no error if it is gone, but to be told."""
        self._goes_on = goes_on
        self._early = early
        self._context = context
        self._sockets = sockets
        self._info = info
        self._sink = sink
        self._identity = (identity or os.urandom(8).hex()).encode()
        self._channels: KernelChannels | None = None
        self._end = trio.Event()

    async def run(self) -> int | None:
        """Serve until :meth:`end`, or until the kernel is gone."""
        early = self._early
        channels = KernelChannels(
            self._context,
            self._sockets,
            self._info,
            self._sink,
            self._identity,
            early.raw if early is not None else None,
        )
        self._channels = channels
        if early is not None:
            self._sink.kernel_launched("message", found=True)
            channels.catch_up(early.handled)
        try:
            with trio.move_on_after(CONNECT_SECONDS) as scope:
                await channels.wait_connected()
            if scope.cancelled_caught and self._goes_on:
                self._sink.kernel_died("the kernel ended while kmux was away", for_good=True)
                await self._end.wait()
                return None
            if scope.cancelled_caught:
                raise KernelGone(
                    f"no kernel listens at {self._info.url(Channel.SHELL)}; is it still running?"
                )
            log().info("kernel.found", url=self._info.url(Channel.SHELL))
            if early is None:
                self._sink.kernel_launched("message", found=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, channels, nursery.cancel_scope)
                await self._end.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._channels = None
            channels.close(LINGER_MS)
        return None

    async def _watch(self, channels: KernelChannels, scope: trio.CancelScope) -> None:
        await channels.finish(math.inf)
        if not self._end.is_set():
            self._sink.kernel_died("the kernel has closed its connections")
        scope.cancel()

    def send(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        """Send to the kernel."""
        if self._channels is not None:
            self._channels.send(channel, routing, message)

    def signal(self, number: int) -> None:
        """Do nothing: the process is not ours."""

    def restart(self) -> None:
        """Do nothing: it is not ours to restart."""

    def end(self) -> None:
        """Let go of it."""
        self._end.set()

    def leave(self) -> None:
        """Let go of it."""
        self._end.set()

    def end_when_gone(self) -> None:
        """Let go of it: whoever started it ends it."""
        self._end.set()
