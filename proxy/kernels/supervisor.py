"""One kernel after the other: launch, connect, watch, stop, and say what happened."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import trio
import zmq

from proxy.errors import ConfigError, KernelGone, KmuxError
from proxy.kernels import heartbeat
from proxy.kernels.adopted import adopt, ending
from proxy.kernels.asyncio_thread import AsyncioThread
from proxy.kernels.channels import KernelChannels
from proxy.kernels.eavesdropping import Early
from proxy.kernels.output import FileOutput, Output, ProcessOutput
from proxy.kernels.process import KernelProcess, LaunchOptions, Process, launch
from proxy.kernels.sink import KernelSink
from proxy.logs import log
from proxy.message import Channel, Message
from proxy.sockets import SocketSet

SHUTDOWN_GRACE_SECONDS = 2.5
"""For each step: shutdown_request, SIGTERM, SIGKILL. jupyter_client waits 5 s for the first two."""
CLEANUP_SECONDS = 10.0
"""A provisioner that hangs must not keep kmux from ending."""
Prepare = Callable[[LaunchOptions, Callable[[str, str], None]], Awaitable[LaunchOptions]]
"""Makes what a kernel needs that is launched next, and completes how. It tells what it does, and in
which language the kernel will be. Raises :class:`KmuxError` where it cannot be had."""
Waiting = Callable[[LaunchOptions], Awaitable[Process]]
"""Raises :class:`KernelGone` where it cannot be had: then one is launched."""
LINGER_MS = 500
"""What was sent to a kernel that lives on is to reach it."""
LAUNCHES_FOR_PORTS = 3
"""More launches of a kernel that finds its ports taken by another process."""


class Supervisor:
    """Keeps a kernel for a session. :meth:`run` is its life; the rest is called by the session."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        sockets: SocketSet,
        asyncio_thread: AsyncioThread,
        options: LaunchOptions,
        sink: KernelSink,
        *,
        adopts: bool = False,
        early: Early | None = None,
        waiting: Waiting | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        """``adopts`` is whether the first kernel is the one that an earlier kmux has launched,
        ``early`` what was heard of it meanwhile. ``waiting`` hands a kernel over that was
        started before anybody asked, to be the first one. ``prepare`` makes what a kernel
        needs, before each is launched."""
        self._waiting = waiting
        self._prepare = prepare
        self._preparing = trio.CancelScope()
        self._early = early
        self._context = context
        self._sockets = sockets
        self._asyncio = asyncio_thread
        self._options = options
        self._sink = sink
        self._adopts = adopts
        self._kernel: Process | None = None
        self._channels: KernelChannels | None = None
        self._nursery: trio.Nursery | None = None
        self._restart = trio.Event()
        self._end = trio.Event()
        self._last = False
        self._leaves = False
        """Whether the kernel is to live on."""
        self._launches_left = LAUNCHES_FOR_PORTS

    @property
    def pid(self) -> int | None:
        """The kernel's process, where there is one on this machine."""
        return self._kernel.pid if self._kernel is not None else None

    async def run(self) -> int | None:
        """Keep kernels running until :meth:`end`. Returns the exit status of the last one.

        Raises :class:`KernelGone` where the first one cannot be started, or ends before it was
        ready. When cancelled, the kernel is killed; one that outlives kmux is left.
        """
        status: int | None = None
        async with trio.open_nursery() as self._nursery:
            first = not self._adopts
            if self._adopts and self._never_launched():
                self._begin_anew()
            while not self._end.is_set():
                self._restart = trio.Event()
                found, self._adopts = self._adopts, False
                try:
                    self._kernel = await self._next_kernel(found)
                except KmuxError as error:
                    if first:
                        raise
                    # What cannot be prepared now cannot be prepared a moment later.
                    for_good = found or not isinstance(error, KernelGone)
                    self._sink.kernel_died(str(error), for_good=for_good)
                else:
                    if self._kernel is None:  # it was not wanted any more
                        break
                    status = await self._attend(self._kernel, found)
                first = False
                if self._last or self._leaves:
                    break
                await _first(self._restart, self._end)
            self._nursery.cancel_scope.cancel()
        if self._early is not None:  # there was nothing to go on with
            self._early.raw.close()
        return status

    def _never_launched(self) -> bool:
        """Whether the earlier kmux ended before it came to launch a kernel, or to have the one
        that waited."""
        kept_in = self._options.kept_in
        return kept_in is not None and (kept_in.launch() is None or kept_in.is_prewarmed)

    def _begin_anew(self) -> None:
        """There is nothing to go on with: neither a kernel, nor what it said."""
        self._adopts = False
        if self._options.kept_in is not None:
            self._options.kept_in.kill()  # it may just have become ours, and nobody noticed
        if self._early is not None:
            self._early.raw.close()
            self._early = None

    async def _next_kernel(self, found: bool) -> Process | None:
        """Return a kernel that runs. None: the end came before there was one."""
        if found:
            assert self._options.kept_in is not None
            try:
                return adopt(self._options.kept_in)
            except ConfigError as error:
                raise KernelGone(f"the kernel cannot be reached any more: {error}") from None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            try:
                return await waiting(self._options)
            except KernelGone as error:
                log().info("kernel.started_fresh", why=str(error))
        if self._prepare is not None:
            options = await self._prepared(self._prepare)
            if options is None:
                return None
            self._options = options
        return await launch(
            self._asyncio,
            self._context,
            self._options,
            keep_ports=self._launches_left == LAUNCHES_FOR_PORTS,
        )

    async def _prepared(self, prepare: Prepare) -> LaunchOptions | None:
        """Prepare, unless the end comes first."""
        if self._options.kept_in is not None:
            self._options.kept_in.forget()  # the next kmux is not to look for the one that ended
        if self._end.is_set():
            return None
        with trio.CancelScope() as self._preparing:
            return await prepare(self._options, self._sink.kernel_preparing)
        return None

    def send(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        """Send to the kernel; without one, the message is dropped."""
        if self._channels is not None:
            self._channels.send(channel, routing, message)

    def signal(self, number: int) -> None:
        """Send a signal to the kernel's process group, soon."""
        if self._kernel is None or self._nursery is None:
            return
        if not self._kernel.signal_now(number):
            self._nursery.start_soon(self._kernel.signal, number)

    def restart(self) -> None:
        """Stop the kernel, which was sent a shutdown_request, if it still runs; launch another."""
        self._restart.set()

    def end(self) -> None:
        """Stop the kernel, which was sent a shutdown_request, if it still runs; launch no other."""
        self._end_now()

    def leave(self) -> None:
        """Let the kernel live on without us; it must be one that outlives kmux."""
        self._leaves = True
        self._end_now()

    def _end_now(self) -> None:
        self._end.set()
        self._preparing.cancel()

    def end_when_gone(self) -> None:
        """Launch no other kernel; this one ends when whoever asked for it makes it end."""
        self._last = True
        if self._kernel is None:
            self._end_now()

    async def _attend(self, kernel: Process, found: bool) -> int | None:
        """Serve one kernel process until it has ended. Returns its exit status."""
        if found:
            log().info("kernel.found", kernel=self._options.kernel_name, pid=kernel.pid)
        else:
            log().info(
                "kernel.launched",
                kernel=self._options.kernel_name,
                pid=kernel.pid,
                command=getattr(kernel, "command", None),
                cwd=self._options.cwd,
                environment=self._options.env_source,
            )
        exited, port_lost = trio.Event(), trio.Event()
        status: int | None = None
        ended = False

        async def wait_for_exit() -> None:
            nonlocal status
            status = await kernel.wait()
            exited.set()

        async def wait_for_lost_port() -> None:
            await output.port_taken.wait()
            if not channels.heard:
                port_lost.set()

        async with trio.open_nursery() as nursery:
            identity = (self._options.identity or os.urandom(8).hex()).encode()
            early, self._early = self._early, None
            channels = KernelChannels(
                self._context,
                self._sockets,
                kernel.info,
                self._sink,
                identity,
                early.raw if early is not None else None,
            )
            self._channels = channels
            output = self._output_of(kernel, channels)
            nursery.start_soon(output.follow)
            try:
                nursery.start_soon(wait_for_exit)
                nursery.start_soon(wait_for_lost_port)
                nursery.start_soon(_tell_when_connected, channels)
                nursery.start_soon(heartbeat.watch, channels, _heartbeat_changed)
                command = self._options.command
                self._sink.kernel_launched(
                    kernel.interrupt_mode,
                    found=found,
                    env_source=self._options.env_source,
                    start_code=command.start_code if command is not None and not found else "",
                )
                if early is not None:
                    channels.catch_up(early.handled)
                await _first(exited, port_lost, self._restart, self._end)
                # One that was asked to end may have done so by now.
                on_its_own = not self._restart.is_set() and not self._end.is_set()
                if not on_its_own and not self._leaves:
                    await _stop(kernel, exited)
                if not self._leaves:
                    await channels.finish()
                    ended = True
            finally:
                self._kernel = self._channels = None
                with trio.move_on_after(CLEANUP_SECONDS, shield=True):
                    lives_on = self._leaves or (self._options.kept_in is not None and not ended)
                    if not exited.is_set() and not lives_on:
                        await kernel.kill()
                        with trio.move_on_after(SHUTDOWN_GRACE_SECONDS):
                            status = await kernel.wait()
                    if lives_on:
                        kernel.release()
                    else:
                        await kernel.cleanup()
                channels.close(LINGER_MS if lives_on else 0)
            if self._leaves:
                nursery.cancel_scope.cancel()
                return None
            log().info("kernel.ended", status=status)
            if on_its_own:
                last_words = [] if channels.heard else await output.last_words()
                lost = output.port_taken.is_set() and not channels.heard
                self._ended_on_its_own(status, last_words, lost, found)
            nursery.cancel_scope.cancel()
        return status

    def _output_of(self, kernel: Process, channels: KernelChannels) -> Output:
        if self._options.kept_in is not None:
            file = self._options.kept_in.output_file
            return FileOutput(file, lambda: not channels.heard)
        return ProcessOutput(kernel.output if isinstance(kernel, KernelProcess) else None)

    def _ended_on_its_own(
        self, status: int | None, last_words: list[str], port_lost: bool, found: bool
    ) -> None:
        """Say so, or launch another one at once where only its ports were to blame."""
        if port_lost and self._launches_left:
            self._launches_left -= 1
            log().warning("kernel.port_taken", last_words=last_words)
            self._restart.set()
            return
        self._launches_left = LAUNCHES_FOR_PORTS
        if not found and not self._sink.kernel_was_ready():
            raise KernelGone(_stillborn(self._options.kernel_name, status, last_words))
        self._sink.kernel_died(ending(status))


async def _stop(kernel: Process, exited: trio.Event) -> None:
    """End a kernel that was sent a shutdown_request: wait, SIGTERM, SIGKILL."""
    for step in (kernel.terminate, kernel.kill):
        with trio.move_on_after(SHUTDOWN_GRACE_SECONDS):
            await exited.wait()
            return
        await step()
    await exited.wait()


async def _first(*wanted: trio.Event) -> None:
    """Wait until one of the events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in wanted:
            nursery.start_soon(wait, event)


def _heartbeat_changed(alive: bool) -> None:
    if not alive:
        log().warning("kernel.unresponsive", why="it does not answer its heartbeat")


def _stillborn(name: str, status: int | None, last_words: list[str]) -> str:
    """Say why a kernel ended before it was ever ready."""
    said = "; ".join(last_words) or "it wrote nothing"
    if "No module named" in said and "ipykernel" in said:
        python = said.partition(":")[0]
        return (
            f"kernel {name!r} has no ipykernel in its environment; install it there: "
            f"{python} -m pip install ipykernel"
        )
    return f"kernel {name!r} did not start: {ending(status)}: {said}"


async def _tell_when_connected(channels: KernelChannels) -> None:
    begun = trio.current_time()
    await channels.wait_connected()
    log().info("kernel.connected", seconds=round(trio.current_time() - begun, 4))
