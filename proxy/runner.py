"""One session alive: takes what endpoints and kernel bring, and carries out what the session says.

The only interpreter of commands, and no protocol knowledge. Between an event and the last of its
commands there is no checkpoint, so the session's view and the wire never differ.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import trio
import zmq

from proxy.endpoints import peers
from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ClientProtocolError, KernelGone, KernelProtocolError, ProtocolError
from proxy.kernels import heartbeat
from proxy.kernels.asyncio_thread import AsyncioThread
from proxy.kernels.channels import KernelChannels
from proxy.kernels.process import KernelProcess, LaunchOptions, launch
from proxy.logs import log
from proxy.message import Channel, ClientId, Message
from proxy.rejections import Rejections
from proxy.session import commands as cmd
from proxy.session import events as ev
from proxy.session.session import Session
from proxy.sockets import SocketSet, Unreachable

SHUTDOWN_GRACE_SECONDS = 2.5
"""For each step: shutdown_request, SIGTERM, SIGKILL. jupyter_client waits 5 s for the first two."""
LINGER_MS = 500
MAX_OUTPUT_LINE_BYTES = 16 * 1024


class ClientInfo(msgspec.Struct, frozen=True):
    """A connected frontend, for people."""

    name: str
    since: float


class Runner:
    """A session, its endpoints and its kernel. :meth:`run` is its life."""

    def __init__(
        self,
        session: Session,
        context: zmq.Context[zmq.Socket[bytes]],
        sockets: SocketSet,
        asyncio_thread: AsyncioThread,
        options: LaunchOptions,
        *,
        owner_pid: int | None = None,
        changed: Callable[[str, ClientId], None] | None = None,
    ) -> None:
        self.session = session
        self.clients: dict[ClientId, ClientInfo] = {}
        self.kernel: KernelProcess | None = None
        self._context = context
        self._sockets = sockets
        self._asyncio = asyncio_thread
        self._options = options
        self._owner_pid = owner_pid
        self._changed = changed or (lambda what, client: None)
        self._endpoints: dict[bytes, ZmqEndpoint] = {}
        self._channels: KernelChannels | None = None
        self._queue: deque[ev.Event] = deque()
        self._busy = False
        self._subscribed_endpoint: ZmqEndpoint | None = None
        self._timers: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None
        self._restart = trio.Event()
        self._ended = trio.Event()
        self._rejections = Rejections()
        self._last_output: deque[str] = deque(maxlen=2)
        self._log = log()
        self._carry_out: dict[type[cmd.Command], Callable[[Any], None]] = {
            cmd.ToAll: self._to_all,
            cmd.ToClient: self._to_client,
            cmd.ToSubscriber: self._to_subscriber,
            cmd.ToKernel: self._to_kernel,
            cmd.SignalKernel: self._signal_kernel,
            cmd.RestartKernel: self._restart_kernel,
            cmd.EndSession: self._end_session,
            cmd.StartTimer: self._start_timer,
            cmd.Log: self._write_log,
        }

    # Life

    def attach(self, endpoint: ZmqEndpoint) -> None:
        """Serve an endpoint that was made with this runner as its sink."""
        self._endpoints[endpoint.tag] = endpoint

    async def run(self) -> int | None:
        """Launch the kernel and serve until the session ends. Returns the kernel's exit status.

        When cancelled, the kernel is killed and all sockets are closed.
        """
        status = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._rejections.report)
                status = await self._supervise()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            for endpoint in self._endpoints.values():
                endpoint.close(LINGER_MS)
            self._log.info("session.ended", status=status)
        return status

    def interrupt(self) -> None:
        """Interrupt the kernel, in the way that it understands."""
        self.dispatch(ev.InterruptRequested(at=time.time()))

    def terminate(self) -> None:
        """Pass SIGTERM on: whoever sent it to us as a kernel decides what comes next."""
        if self.kernel is None:
            self.end()
        elif self._nursery is not None:
            self._nursery.start_soon(self.kernel.terminate)

    def end(self) -> None:
        """End the session: the kernel is asked, then made to end."""
        if not self._ended.is_set():
            self.dispatch(ev.ShuttingDown(at=time.time()))
            self._ended.set()

    def dispatch(self, event: ev.Event) -> None:
        """Hand one event to the session and carry out its commands.

        An event that comes up meanwhile (a client turns out to be away) waits for its turn.
        """
        if self._busy:
            self._queue.append(event)
            return
        self._busy = True
        self._handle(event)
        while self._queue:
            self._handle(self._queue.popleft())
        self._busy = False

    def _handle(self, event: ev.Event) -> None:
        try:
            for command in self.session.handle(event):
                self._carry_out[type(command)](command)
        except Exception:
            # A bug of ours: this event is lost, everybody else goes on.
            self._log.exception("internal.error", event_type=type(event).__name__)

    # What the edges bring (EndpointSink, KernelSink)

    def client_sent(self, client: ClientId, channel: Channel, message: Message) -> None:
        owner = (
            self._owner_pid is not None
            and message.header.msg_type == "shutdown_request"
            and self._is_owner(client, channel, self._owner_pid)
        )
        self.dispatch(
            ev.ClientSent(
                at=time.time(), client=client, channel=channel, message=message, owner=owner
            )
        )

    def client_returned(self, client: ClientId) -> None:
        if client not in self.clients:
            self.clients[client] = ClientInfo(_client_name(client), time.time())
            self._log.info("client.attached", client=client)
            self._changed("attached", client)
        self.dispatch(ev.ClientReturned(at=time.time(), client=client))

    def client_left(self, client: ClientId) -> None:
        self._log.info("client.left", client=client)
        self._changed("left", client)
        self.clients.pop(client, None)
        self.dispatch(ev.ClientLeft(at=time.time(), client=client))

    def subscribed(self, endpoint: bytes) -> None:
        self._log.debug("client.subscribed", endpoint=endpoint)
        self._subscribed_endpoint = self._endpoints[endpoint]
        self.dispatch(ev.Subscribed(at=time.time(), subscriber=endpoint))
        self._subscribed_endpoint = None

    def rejected(self, channel: Channel, error: ClientProtocolError) -> None:
        self._reject(channel, error)

    def cut_off(self, peer: str, backlog: int) -> None:
        self._log.warning(
            "client.cut_off", peer=peer, backlog=backlog, why="it does not read its iopub channel"
        )

    def kernel_sent(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        self.dispatch(
            ev.KernelSent(at=time.time(), channel=channel, routing=routing, message=message)
        )

    def kernel_rejected(self, channel: Channel, error: KernelProtocolError) -> None:
        self._reject(channel, error)

    def _reject(self, channel: Channel, error: ProtocolError) -> None:
        self._rejections.count(channel, error)

    def _is_owner(self, client: ClientId, channel: Channel, owner_pid: int) -> bool:
        """Whether this client is the frontend that started us as its kernel."""
        endpoint = self._endpoints[client[0]]
        descriptor = endpoint.connections.descriptor(client, channel)
        from_owner = peers.belongs_to(descriptor, owner_pid) if descriptor is not None else None
        if from_owner is None:
            # jupyter_client's managers connect a socket without an identity of its own.
            return client[-1][:1] == b"\x00"
        return from_owner

    # What the session says

    def _to_all(self, command: cmd.ToAll) -> None:
        for endpoint in self._endpoints.values():
            endpoint.publish(command.message)

    def _to_client(self, command: cmd.ToClient) -> None:
        client, channel, message = command.client, command.channel, command.message
        endpoint = self._endpoints.get(client[0])
        if endpoint is None:
            self._log.warning("message.undeliverable", client=client, why="no such endpoint")
            return
        try:
            endpoint.send(client, channel, message)
        except Unreachable:
            self._queue.append(
                ev.Undelivered(at=time.time(), client=client, channel=channel, message=message)
            )

    def _to_subscriber(self, command: cmd.ToSubscriber) -> None:
        if self._subscribed_endpoint is not None:
            self._subscribed_endpoint.send_to_newest(command.message)

    def _to_kernel(self, command: cmd.ToKernel) -> None:
        if self._channels is not None:
            self._channels.send(command.channel, command.routing, command.message)

    def _signal_kernel(self, command: cmd.SignalKernel) -> None:
        if self.kernel is not None and self._nursery is not None:
            self._nursery.start_soon(self.kernel.signal, signal.SIGINT)

    def _restart_kernel(self, command: cmd.RestartKernel) -> None:
        self._restart.set()

    def _end_session(self, command: cmd.EndSession) -> None:
        if self.kernel is None:
            self._ended.set()

    def _start_timer(self, command: cmd.StartTimer) -> None:
        if self._nursery is None:
            return
        if command.key in self._timers:
            self._timers[command.key].cancel()
        scope = self._timers[command.key] = trio.CancelScope()
        self._nursery.start_soon(self._run_timer, command.key, command.seconds, scope)

    async def _run_timer(self, key: str, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
            del self._timers[key]
            self.dispatch(ev.TimerFired(at=time.time(), key=key))

    def _write_log(self, command: cmd.Log) -> None:
        getattr(self._log, command.level)(command.event, **command.values)

    # The kernel

    async def _supervise(self) -> int | None:
        """Launch kernels, one after the other, until the session ends."""
        status: int | None = None
        launched = False
        while not self._ended.is_set():
            self._restart = trio.Event()
            try:
                self.kernel = await launch(self._asyncio, self._context, self._options)
            except KernelGone as error:
                self._log.warning("kernel.restart_failed", error=str(error))
                if not launched:
                    raise
                self.dispatch(ev.KernelDied(at=time.time(), reason=str(error)))
            else:
                launched = True
                status = await self._attend(self.kernel)
            if self.session.ended:
                break
            await _first(self._restart, self._ended)
        return status

    async def _attend(self, kernel: KernelProcess) -> int | None:
        """Serve one kernel process until it has ended. Returns its exit status."""
        self._log.info("kernel.launched", kernel=self._options.kernel_name, pid=kernel.pid)
        exited = trio.Event()
        status: int | None = None
        async with trio.open_nursery() as nursery:
            if kernel.output is not None:
                nursery.start_soon(self._log_output, kernel.output)
            channels = KernelChannels(
                self._context, self._sockets, kernel.info, self, os.urandom(8).hex().encode()
            )
            self._channels = channels
            nursery.start_soon(heartbeat.watch, channels, self._heartbeat_changed)
            self.dispatch(ev.KernelLaunched(at=time.time(), interrupt_mode=kernel.interrupt_mode))

            async def wait() -> None:
                nonlocal status
                status = await kernel.wait()
                exited.set()

            nursery.start_soon(wait)
            deliberate = False
            try:
                await _first(exited, self._restart, self._ended)
                deliberate = not exited.is_set()
                if deliberate:
                    await self._stop(kernel, exited)
                await channels.finish()
            finally:
                self.kernel = self._channels = None
                with trio.CancelScope(shield=True):
                    if not exited.is_set():
                        await kernel.kill()
                    await kernel.cleanup()
                channels.close()
            if not deliberate and not self.session.lifecycle.was_ready and not self.session.ended:
                raise KernelGone(self._stillborn(status))
            if not deliberate:
                self.dispatch(ev.KernelDied(at=time.time(), reason=_ending(status)))
            self._log.info("kernel.ended", status=status)
            nursery.cancel_scope.cancel()
        return status

    async def _stop(self, kernel: KernelProcess, exited: trio.Event) -> None:
        """End a kernel that was sent a shutdown_request: wait, SIGTERM, SIGKILL."""
        for step in (kernel.terminate, kernel.kill):
            with trio.move_on_after(SHUTDOWN_GRACE_SECONDS):
                await exited.wait()
                return
            await step()
        await exited.wait()

    def _stillborn(self, status: int | None) -> str:
        """Say why a kernel ended before it was ever ready, by its last words."""
        said = "; ".join(self._last_output) or "it wrote nothing"
        name = self._options.kernel_name
        if "No module named" in said and "ipykernel" in said:
            return (
                f"kernel {name!r} has no ipykernel in its environment; install it there: "
                f"{said.partition(':')[0]} -m pip install ipykernel"
            )
        return f"kernel {name!r} did not start: {_ending(status)}: {said}"

    def _heartbeat_changed(self, alive: bool) -> None:
        if not alive:
            self._log.warning("kernel.unresponsive", why="it does not answer its heartbeat")

    async def _log_output(self, descriptor: int) -> None:
        """Log what the process writes to stdout and stderr (crashes, C extensions), by line."""
        rest = b""
        async with trio.lowlevel.FdStream(descriptor) as stream:
            async for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_OUTPUT_LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._note_output(line)
        if rest:
            self._note_output(rest)

    def _note_output(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip()
        self._log.info("kernel.output", line=line)
        if line.strip():
            self._last_output.append(line.strip())


async def _first(*wanted: trio.Event) -> None:
    """Wait until one of the events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in wanted:
            nursery.start_soon(wait, event)


def _ending(status: int | None) -> str:
    """Say how a process ended."""
    if status is None:
        return "the kernel has ended"
    if status < 0:
        try:
            return f"the kernel was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"the kernel was killed by signal {-status}"
    return f"the kernel exited with status {status}"


def _client_name(client: ClientId) -> str:
    """Show a routing identity: jupyter_client's is its session id, automatic ones are bytes."""
    identity = client[-1]
    text = identity.decode("ascii", "replace")
    return text if text.isprintable() else identity.hex()
