"""One session alive: takes what endpoints and kernel bring, and carries out what the session says.

The only interpreter of commands, and no protocol knowledge. Between an event and the last of its
commands there is no checkpoint, so the session's view and the wire never differ.
"""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import trio

from proxy.endpoints.endpoint import Endpoint
from proxy.errors import ClientProtocolError, KernelProtocolError, ProtocolError
from proxy.kernels.kernel import Kernel
from proxy.kernels.sink import KernelSink
from proxy.logs import log
from proxy.message import Channel, ClientId, Message
from proxy.rejections import Rejections
from proxy.session import commands as cmd
from proxy.session import events as ev
from proxy.session.facts import Fact
from proxy.session.session import Session
from proxy.session.shell_queue import Execution
from proxy.sockets import SocketSet, Unreachable

LINGER_MS = 500


class ClientInfo(msgspec.Struct, frozen=True):
    """A connected frontend, for people."""

    name: str
    since: float


class Runner:
    """A session, its endpoints and its kernel. :meth:`run` is its life."""

    def __init__(
        self,
        session: Session,
        sockets: SocketSet,
        kernel: Callable[[KernelSink], Kernel],
        *,
        changed: Callable[[str, ClientId, str], None] | None = None,
        recorded: Callable[[list[Fact]], None] | None = None,
        moved: Callable[[], None] | None = None,
        parted: Callable[[ClientId, bool], None] | None = None,
    ) -> None:
        """``changed`` is told of clients that come and go, ``recorded`` of facts; ``moved`` is
        called when a turn in which anything happened is over. ``parted`` is told whose kernel has
        ended for it (:class:`commands.Goodbye`), and whether it will want it again."""
        self.session = session
        self.last_activity = 0.0
        """When anything happened last, in seconds of the epoch."""
        self.clients: dict[ClientId, ClientInfo] = {}
        self.kernel = kernel(self)
        self.has_ended = False
        """Whether the session is over, and nobody can attach any more."""
        self._sockets = sockets
        self._changed = changed or (lambda what, client, name: None)
        self._recorded = recorded or (lambda facts: None)
        self._moved = moved or (lambda: None)
        self._parted = parted or (lambda client, restart: None)
        self._turn_noted = False
        self._endpoints: dict[bytes, Endpoint] = {}
        self._queue: deque[ev.Event] = deque()
        self._busy = self._frozen = False
        self._subscribed_endpoint: Endpoint | None = None
        self._timers: dict[str, trio.CancelScope] = {}
        self._timers_to_come: dict[str, cmd.StartTimer] = {}
        """Of a session that goes on, and does not run yet."""
        self._nursery: trio.Nursery | None = None
        self._rejections = Rejections()
        self._log = log()
        self._carry_out: dict[type[cmd.Command], Callable[[Any], None]] = {
            cmd.ToAll: self._to_all,
            cmd.ToAllBut: self._to_all_but,
            cmd.ToClient: self._to_client,
            cmd.ToSubscriber: self._to_subscriber,
            cmd.ToKernel: self._to_kernel,
            cmd.SignalKernel: self._signal_kernel,
            cmd.RestartKernel: self._restart_kernel,
            cmd.EndSession: self._end_session,
            cmd.Goodbye: self._goodbye,
            cmd.StartTimer: self._start_timer,
            cmd.Record: self._record,
            cmd.Log: self._write_log,
        }

    # Life

    def attach(self, endpoint: Endpoint) -> None:
        """Serve an endpoint that was made with this runner as its sink."""
        self._endpoints[endpoint.tag] = endpoint
        self.dispatch(
            ev.EndpointBound(
                at=time.time(),
                ports=dict(endpoint.ports),
                tag=endpoint.tag,
                read_only=endpoint.read_only,
            )
        )

    def detach(self, tag: bytes) -> None:
        """Serve an endpoint no more. Its clients are away, and may come back to it."""
        if tag not in self._endpoints:
            return
        self.dispatch(ev.EndpointClosed(at=time.time(), tag=tag))  # some hear of it
        endpoint = self._endpoints.pop(tag)
        for client in [client for client in self.clients if client[0] == tag]:
            self.client_left(client)
        endpoint.close(LINGER_MS)

    async def run(self) -> int | None:
        """Serve the kernel until the session ends. Returns the kernel's exit status.

        Raises :class:`KernelGone` where it does not start. When cancelled, the kernel is let go of
        and all sockets are closed.
        """
        status = None
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                while self._timers_to_come:
                    self._start_timer(self._timers_to_come.popitem()[1])
                nursery.start_soon(self._rejections.report)
                status = await self.kernel.run()
                nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self.has_ended = True
            while self._endpoints:
                self._endpoints.popitem()[1].close(LINGER_MS)
            self._log.info("session.ended", status=status)
        return status

    @property
    def executions(self) -> Iterable[Execution]:
        """The cells that run and wait, in the order of their turns."""
        return self.session.machines.queue.executions

    def interrupt(self, endpoint: bytes = b"") -> None:
        """Interrupt the kernel, in the way that it understands.

        ``endpoint`` is the ports of the frontend that wants it: it waits for a moment whether that
        shuts its kernel down.
        """
        self.dispatch(ev.InterruptRequested(at=time.time(), endpoint=endpoint))

    def restart(self, for_whom: frozenset[ClientId] = frozenset()) -> None:
        """Restart the kernel for everybody, also one that is dead. ``for_whom`` are the clients
        of who wants it: they are not told of it."""
        self.dispatch(ev.RestartRequested(at=time.time(), clients=for_whom))

    def terminate(self) -> None:
        """Pass SIGTERM on: whoever sent it to us as a kernel decides what comes next."""
        if self.kernel.pid is None:
            self.end()
        else:
            self.kernel.signal(signal.SIGTERM)

    def end(self) -> None:
        """End the session: the kernel is asked, then made to end."""
        self.dispatch(ev.ShuttingDown(at=time.time()))
        self.kernel.end()

    def freeze(self) -> None:
        """Let nothing happen any more: what would is for the next kmux, which has it by now."""
        self._frozen = True

    def dispatch(self, event: ev.Event) -> None:
        """Hand one event to the session and carry out its commands.

        An event that comes up meanwhile (a client turns out to be away) waits for its turn.
        """
        if self._busy:
            self._queue.append(event)
            return
        if self._frozen:
            return
        self._busy = True
        self._handle(event)
        while self._queue:
            self._handle(self._queue.popleft())
        self._busy = False
        if not self._turn_noted:
            self._turn_noted = True
            self._sockets.at_turn_end(self._turn_ended)

    def _handle(self, event: ev.Event) -> None:
        self.last_activity = event.at
        try:
            for command in self.session.handle(event):
                self._carry_out[type(command)](command)
        except Exception:
            # A bug of ours: this event is lost, everybody else goes on.
            self._log.exception("internal.error", event_type=type(event).__name__)

    # What the edges bring (EndpointSink, KernelSink)

    def client_sent(self, client: ClientId, channel: Channel, message: Message) -> None:
        self.dispatch(
            ev.ClientSent(at=time.time(), client=client, channel=channel, message=message)
        )

    def connected(self) -> None:
        if len(self.session.machines.mailbox):
            self.dispatch(ev.Connected(at=time.time()))

    def client_returned(self, client: ClientId, owner: bool, missed_nothing: bool = False) -> None:
        if client not in self.clients:
            self.clients[client] = ClientInfo(client_name(client), time.time())
            self._log.info("client.attached", client=client)
            self._changed("attached", client, self.clients[client].name)
        self.dispatch(
            ev.ClientReturned(
                at=time.time(), client=client, owner=owner, missed_nothing=missed_nothing
            )
        )

    def client_left(self, client: ClientId) -> None:
        self._log.info("client.left", client=client)
        info = self.clients.pop(client, None)
        if info is not None:
            self._changed("left", client, info.name)
        self.dispatch(ev.ClientLeft(at=time.time(), client=client))

    def subscribed(self, endpoint: bytes) -> None:
        self._log.debug("client.subscribed", endpoint=endpoint)
        self._subscribed_endpoint = self._endpoints[endpoint]
        replay = self._endpoints[endpoint].replays
        self.dispatch(ev.Subscribed(at=time.time(), subscriber=endpoint, replay=replay))
        self._subscribed_endpoint = None

    def rejected(self, channel: Channel, error: ClientProtocolError) -> None:
        self._reject(channel, error)

    def buffers_left_out(self, client: ClientId) -> None:
        self._log.warning(
            "client.no_buffers",
            client=client,
            why="it speaks the WebSocket form without them; its widgets lack pictures and arrays",
        )

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

    def kernel_preparing(self, line: str, language: str) -> None:
        self.dispatch(ev.KernelPreparing(at=time.time(), line=line, language=language))

    def kernel_launched(
        self,
        interrupt_mode: str,
        found: bool = False,
        env_source: str = "",
        start_code: str = "",
    ) -> None:
        self.dispatch(
            ev.KernelLaunched(
                at=time.time(),
                interrupt_mode=interrupt_mode,
                found=found,
                env_source=env_source,
                start_code=start_code,
            )
        )

    def kernel_died(self, reason: str, for_good: bool = False) -> None:
        self.dispatch(ev.KernelDied(at=time.time(), reason=reason, for_good=for_good))

    def kernel_was_ready(self) -> bool:
        return self.session.machines.lifecycle.was_ready

    def _turn_ended(self) -> None:
        if self.session.is_behind:
            self.dispatch(ev.TurnEnded(at=time.time()))
        self._turn_noted = False
        self._moved()

    def _reject(self, channel: Channel, error: ProtocolError) -> None:
        self._rejections.count(channel, error)

    # What the session says

    def _to_all(self, command: cmd.ToAll) -> None:
        for endpoint in self._endpoints.values():
            endpoint.publish(command.message)

    def _to_all_but(self, command: cmd.ToAllBut) -> None:
        for endpoint in self._endpoints.values():
            endpoint.publish(command.message, command.clients)

    def _to_client(self, command: cmd.ToClient) -> None:
        client, channel, message = command.client, command.channel, command.message
        endpoint = self._endpoints.get(client[0])
        try:
            if endpoint is None:  # its ports were taken away; the same may be bound again
                raise Unreachable
            endpoint.send(client, channel, message)
        except Unreachable:
            self._queue.append(
                ev.Undelivered(at=time.time(), client=client, channel=channel, message=message)
            )

    def _to_subscriber(self, command: cmd.ToSubscriber) -> None:
        if self._subscribed_endpoint is not None:
            self._subscribed_endpoint.send_to_newest(command.message)

    def _to_kernel(self, command: cmd.ToKernel) -> None:
        self.kernel.send(command.channel, command.routing, command.message)

    def _signal_kernel(self, command: cmd.SignalKernel) -> None:
        self.kernel.signal(signal.SIGINT)

    def _restart_kernel(self, command: cmd.RestartKernel) -> None:
        self.kernel.restart()

    def _end_session(self, command: cmd.EndSession) -> None:
        self.kernel.end_when_gone()

    def _goodbye(self, command: cmd.Goodbye) -> None:
        self._parted(command.client, command.restart)

    def _start_timer(self, command: cmd.StartTimer) -> None:
        if command.key in self._timers:
            self._timers[command.key].cancel()
        if self._nursery is None:
            self._timers_to_come[command.key] = command
            return
        scope = self._timers[command.key] = trio.CancelScope()
        self._nursery.start_soon(self._run_timer, command.key, command.seconds, scope)

    async def _run_timer(self, key: str, seconds: float, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(seconds)
            del self._timers[key]
            self.dispatch(ev.TimerFired(at=time.time(), key=key))

    def _record(self, command: cmd.Record) -> None:
        self._recorded(command.facts)

    def _write_log(self, command: cmd.Log) -> None:
        getattr(self._log, command.level)(command.event, **command.values)


def client_name(client: ClientId) -> str:
    """Show a routing identity: jupyter_client's is its session id, automatic ones are bytes."""
    identity = client[-1]
    text = identity.decode("ascii", "replace")
    return text if text.isprintable() else identity.hex()
