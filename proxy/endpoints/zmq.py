"""The five ZMQ sockets of a connection file, as a kernel would bind them.

Every frontend that knows connection files attaches here: jupyter_client, console, qtconsole,
VS Code, Spyder, JupyterLab's own server. Shell, control and stdin are ROUTERs, iopub is an XPUB,
the heartbeat echoes (Jupyter messaging, "Heartbeat for kernels").
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import zmq

from proxy.endpoints.connections import Connections
from proxy.endpoints.peers import belongs_to, end_sending
from proxy.endpoints.sink import EndpointSink
from proxy.endpoints.subscribers import Subscribers
from proxy.errors import ClientProtocolError, ConfigError, Conflict
from proxy.message import Channel, ClientId, Message, Part, comes_back
from proxy.sockets import SocketSet, Unreachable, ZmqSocket
from proxy.wire import zmq_frames
from proxy.wire.connection import ConnectionInfo
from proxy.wire.replay import ReplayGuard

ROUTED = (Channel.SHELL, Channel.CONTROL, Channel.STDIN)
MAX_FRAME_BYTES = 1024**3
"""libzmq disconnects who sends a larger frame. The largest known are notebooks' uploads."""
CLIENT_QUEUE_MESSAGES = 10_000
"""Replies that one frontend may leave unread; past it they go to the session's mailbox."""
MAX_HEARTBEAT_BYTES = 1024
MAX_MISSED_BYTES = 64 * 1024 * 1024
"""Kept for subscribers that may come back: past it they are taken for ones that do not read, and
would be cut off (``subscribers.py``)."""

_MONITOR_EVENT = struct.Struct("=HI")
_MONITORED = zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


class ZmqEndpoint:
    """One set of ports. ``tag`` is the first frame of its clients' ids, stable over restarts."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        sockets: SocketSet,
        info: ConnectionInfo,
        sink: EndpointSink,
        tag: bytes = b"zmq",
        owner_pid: int | None = None,
        replays: bool = False,
        read_only: bool = False,
    ) -> None:
        """Bind the sockets. Raises :class:`ConfigError` where a port is taken.

        ``info`` is then what :attr:`info` says: port 0 has become the port that was bound.
        ``owner_pid`` is the process whose clients are reported as owners. ``replays`` is whether
        a new subscriber is to be sent what it missed, ``read_only`` whether its clients may look
        and not touch.
        """
        self.read_only = read_only
        self.tag = tag
        self.replays = replays
        self.connections = Connections()
        self._sockets = sockets
        self._sink = sink
        self._signer = info.signer()
        self._replays = ReplayGuard()
        self._all: list[ZmqSocket] = []
        self._routers: dict[Channel, ZmqSocket] = {}
        self._monitors: dict[Channel, ZmqSocket] = {}
        self._open: set[tuple[Channel, int]] = set()
        self._awaited = self._missed_bytes = 0
        """Subscribers that may come back, and how much they have missed."""
        self._missed: list[list[Part]] = []
        self._hushed = self._hung_up = False
        self._owner_pid = owner_pid
        self._owned: dict[tuple[Channel, int], bool | None] = {}
        """By channel and descriptor; asked when it was accepted, since a process may send and
        close at once."""
        raws: dict[Channel, zmq.Socket[bytes]] = {}
        try:
            for channel in Channel:
                raws[channel] = _make(context, channel)
                _configure(raws[channel], channel, info)
            self.info = info.with_ports({c: _bind(raw, c, info) for c, raw in raws.items()})
        except ConfigError:
            for raw in raws.values():
                raw.close(linger=0)
            raise
        for channel in ROUTED:
            self._routers[channel] = sockets.add(raws[channel], partial(self._on_request, channel))
        self._heartbeat = sockets.add(raws[Channel.HEARTBEAT], self._on_heartbeat)
        self.subscribers = Subscribers(
            sockets,
            raws[Channel.IOPUB],
            subscribed=self._subscribed,
            cut_off=sink.cut_off,
            is_open=self._is_open,
        )
        for channel in (*ROUTED, Channel.IOPUB):
            monitor = raws[channel].get_monitor_socket(_MONITORED)
            self._monitors[channel] = sockets.add(monitor, partial(self._on_monitor, channel))
        self._raws = raws

    @property
    def ports(self) -> Mapping[str, int]:
        """Its ports, as its connection file calls them."""
        return self.info.ports

    def send(self, client: ClientId, channel: Channel, message: Message) -> None:
        """Send to one frontend. Raises :class:`Unreachable` where it is not connected."""
        if self._hushed:
            raise Unreachable("kmux has hung up")
        self._routers[channel].send(zmq_frames.encode(client[1:], message, self._signer))

    def publish(self, message: Message, but: frozenset[ClientId] = frozenset()) -> None:
        """Publish on iopub to all frontends of this endpoint; to none, where one of them is not to
        hear it: iopub names nobody."""
        if but and any(client[0] == self.tag for client in but):
            return
        frames = zmq_frames.encode((message.topic,), message, self._signer)
        self.subscribers.publish(frames)
        if self._awaited:
            self._keep(frames)

    def await_return_of(self, subscribers: int) -> None:
        """Keep what is published for so many who were subscribed before kmux was restarted.

        Their libzmq connects again by itself, when its user reads. Who subscribes next is taken
        for one of them, and is sent first what it has missed.
        """
        self._awaited = subscribers

    def forget_missed(self) -> None:
        """Whoever has not come back by now does not come."""
        self._awaited = self._missed_bytes = 0
        self._missed.clear()

    def _keep(self, frames: list[Part]) -> None:
        self._missed.append(frames)
        self._missed_bytes += sum(map(len, frames))
        if self._missed_bytes > MAX_MISSED_BYTES:
            self.forget_missed()

    def send_to_newest(self, message: Message) -> None:
        """Send on iopub to the subscriber that :meth:`EndpointSink.subscribed` is called for."""
        self.subscribers.send_to_newest(zmq_frames.encode((b"",), message, self._signer))

    def hush(self) -> None:
        """Send nothing more, but on iopub. Whoever is connected is taken to stay so."""
        self._hushed = True

    def hang_up(self) -> None:
        """Say goodbye to all frontends, but on iopub; :meth:`hush` came before.

        What they have sent until they notice still comes in, and what they send then waits with
        them for who listens here next. When they have noticed, :attr:`is_connected` is False.
        The ports stay bound (:meth:`stop_listening`).
        """
        for channel in ROUTED:
            self._read_monitor(channel)
        self._hung_up = True
        for channel, descriptor in self._open:
            if channel in ROUTED:
                end_sending(descriptor)

    def stop_listening(self) -> None:
        """Let nobody connect any more, but on iopub, after :meth:`hang_up`.

        Who has noticed that connects again after a tenth of a second, and what it would send then
        nobody would read. Connections that are still there are closed with the ports, unread.
        """
        for channel in ROUTED:
            raw = self._raws[channel]
            raw.unbind(raw.get_string(zmq.LAST_ENDPOINT))

    @property
    def is_connected(self) -> bool:
        """Whether a frontend is, on another channel than iopub."""
        for channel in ROUTED:
            self._read_monitor(channel)
        return any(channel in ROUTED for channel, _ in self._open)

    def close(self, linger_ms: int = 0) -> None:
        """Close all sockets; what was sent goes out for up to ``linger_ms``."""
        for channel in self._monitors:
            self._raws[channel].disable_monitor()
        for monitor in self._monitors.values():
            self._sockets.close(monitor)
        for router in self._routers.values():
            self._sockets.close(router, linger_ms)
        self._sockets.close(self._heartbeat)
        self.subscribers.close(self._sockets, linger_ms)

    def _on_request(self, channel: Channel, frames: list[Part], origin: zmq.Frame) -> None:
        try:
            routing, message = zmq_frames.decode(frames, self._signer, ClientProtocolError)
            if not routing:
                raise ClientProtocolError("no routing identity")
            if self._replays.seen(message.signature):
                raise ClientProtocolError("replayed: this signature was seen before")
        except ClientProtocolError as error:
            self._sink.rejected(channel, error)
            return
        client = ClientId((self.tag, *routing))
        descriptor = origin.get(zmq.SRCFD)
        if not self.connections.knows(client, channel, descriptor):
            self._read_monitor(channel)  # the former user of this descriptor may have left
            if self.connections.heard(client, channel, descriptor):
                self._sink.client_returned(client, self._is_owner(client, channel, descriptor))
        self._sink.client_sent(client, channel, message)
        if (channel, descriptor) not in self._open:  # it sent, and closed at once
            self._closed(channel, descriptor)

    def _subscribed(self) -> None:
        self._sink.subscribed(self.tag)
        if self._awaited:
            for frames in self._missed:
                self.subscribers.send_to_newest(frames)
            self._awaited -= 1
            if not self._awaited:
                self.forget_missed()

    def _on_heartbeat(self, frames: list[Part], origin: zmq.Frame) -> None:
        with suppress(Unreachable):  # it left
            self._heartbeat.send(frames)

    def _is_owner(self, client: ClientId, channel: Channel, descriptor: int) -> bool:
        if self._owner_pid is None:
            return False
        owned = self._owned.get((channel, descriptor))
        # Where it cannot be told: jupyter_client's managers connect without a routing identity.
        return not comes_back(client) if owned is None else owned

    def _is_open(self, descriptor: int) -> bool:
        """Whether an iopub connection of this descriptor is open."""
        self._read_monitor(Channel.IOPUB)
        return (Channel.IOPUB, descriptor) in self._open

    def _read_monitor(self, channel: Channel) -> None:
        """Take in what libzmq has reported of a socket's connections until now."""
        while self._sockets.turn(self._monitors[channel]):
            pass

    def _on_monitor(self, channel: Channel, frames: list[Part], origin: zmq.Frame) -> None:
        event, descriptor = _MONITOR_EVENT.unpack_from(frames[0])
        if event == zmq.EVENT_DISCONNECTED:
            self._open.discard((channel, descriptor))
            if channel is Channel.IOPUB:
                self.subscribers.disconnected(descriptor)
            else:
                self._closed(channel, descriptor)
            return
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            if channel is not Channel.IOPUB:
                self._sink.connected()
            return
        self._open.add((channel, descriptor))
        if self._hung_up and channel in ROUTED:
            end_sending(descriptor)
        if channel is not Channel.IOPUB and self._owner_pid is not None:
            self._owned[channel, descriptor] = belongs_to(descriptor, self._owner_pid)

    def _closed(self, channel: Channel, descriptor: int) -> None:
        for client in self.connections.closed(channel, descriptor):
            if not self._hushed:
                self._sink.client_left(client)


def _make(context: zmq.Context[zmq.Socket[bytes]], channel: Channel) -> zmq.Socket[bytes]:
    return context.socket(zmq.XPUB if channel is Channel.IOPUB else zmq.ROUTER)


def _configure(raw: zmq.Socket[bytes], channel: Channel, info: ConnectionInfo) -> None:
    raw.linger = 0
    raw.ipv6 = ":" in info.ip
    if channel is Channel.IOPUB:
        Subscribers.configure(raw, info.transport)
    else:
        raw.router_handover = True  # a frontend that comes back takes its identity over
        raw.router_mandatory = True  # tell us when it is away
        raw.sndhwm = CLIENT_QUEUE_MESSAGES
    raw.maxmsgsize = MAX_HEARTBEAT_BYTES if channel is Channel.HEARTBEAT else MAX_FRAME_BYTES
    if info.curve is not None:
        try:
            raw.curve_server = True
            raw.curve_publickey = info.curve.public.encode()
            raw.curve_secretkey = info.curve.secret.encode()
        except zmq.ZMQError as error:
            raise ConfigError(f"the curve keys cannot be used: {error.strerror}") from None


def _bind(raw: zmq.Socket[bytes], channel: Channel, info: ConnectionInfo) -> int:
    """Bind, and return the port: libzmq's choice where the file says 0."""
    port = info.port(channel)
    if info.transport == "ipc" and not port:
        port = list(Channel).index(channel) + 1
        info = info.with_ports({channel: port})
    url = info.url(channel)
    try:
        if info.transport == "ipc" and _is_served(url.removeprefix("ipc://")):
            raise zmq.ZMQError(errno.EADDRINUSE)  # libzmq would take the path away
        raw.bind(url if port else url.removesuffix("0") + "*")
    except zmq.ZMQError as error:
        kind = Conflict if error.errno == errno.EADDRINUSE else ConfigError
        raise kind(
            f"cannot bind the {channel} port {url}: {error.strerror}; "
            "end who uses it, or take another connection file"
        ) from None
    return port or int(raw.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])


def _is_served(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
