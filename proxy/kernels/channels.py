"""The five ZMQ sockets to a kernel, as a frontend would connect them.

Shell, control and stdin are DEALERs of one identity: a kernel sends input_request to the identity
that sent the execute_request. The iopub subscription has no high-water mark, so a kernel is never
made to drop output (with the default of 1000, 8,498 of 20,000 messages arrived at a reader that
slept; with none, all).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Collection
from functools import partial

import msgspec
import trio
import zmq

from proxy.errors import KernelProtocolError
from proxy.kernels.sink import KernelSink
from proxy.message import JSON_ERRORS, Channel, Message, Part
from proxy.sockets import SocketSet, ZmqSocket
from proxy.wire import zmq_frames
from proxy.wire.connection import ConnectionInfo

RECONNECT_MS = 10
"""A kernel binds its ports some time after its process starts; libzmq's default of 100 ms would
be most of what a warm start takes."""
_TYPES = {Channel.IOPUB: zmq.SUB}
FINISH_SECONDS = 1.0
"""How long the last words of a kernel that has ended may take to come in."""
_MONITOR_EVENT = struct.Struct("=HI")
_DEALERS = (Channel.SHELL, Channel.CONTROL, Channel.STDIN)


class KernelChannels:
    """Connected to one kernel process; closed when it ends."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        sockets: SocketSet,
        info: ConnectionInfo,
        sink: KernelSink,
        identity: bytes,
        early: zmq.Socket[bytes] | None = None,
    ) -> None:
        """``early`` is a subscription to iopub that was made before (:mod:`eavesdropping`): what
        it has heard comes by :meth:`catch_up`, which is to be called at once."""
        self._sockets = sockets
        self._sink = sink
        self._signer = info.signer()
        self._channels: dict[Channel, ZmqSocket] = {}
        self._monitors: list[ZmqSocket] = []
        self._connected: set[Channel] = set()
        self._all_connected = trio.Event()
        self._disconnected = trio.Event()
        self._disconnected.set()
        self.heard = False
        """Whether the kernel ever said anything: then its ports are its own."""
        self.heartbeat_heard: float | None = None
        self._heard_early = [] if early is None else _waiting(early)
        self._handled: frozenset[str] = frozenset()
        for channel in Channel:
            is_early = channel is Channel.IOPUB and early is not None
            raw = early if is_early else make_socket(context, channel, info, identity)
            assert raw is not None
            if channel is not Channel.HEARTBEAT:
                raw_monitor = raw.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
                self._monitors.append(sockets.add(raw_monitor, partial(self._on_monitor, channel)))
            if not is_early:
                raw.connect(info.url(channel))
            receive = self._on_heartbeat if channel is Channel.HEARTBEAT else self._on_message
            self._channels[channel] = sockets.add(raw, partial(receive, channel))

    def send(self, channel: Channel, routing: tuple[bytes, ...], message: Message) -> None:
        """Send on shell, control or stdin. It waits in libzmq while the kernel is coming up."""
        self._channels[channel].post(zmq_frames.encode(routing, message, self._signer))

    def catch_up(self, handled: Collection[str]) -> None:
        """Deliver what was heard early, but for what another kmux has handled already.

        ``handled`` are the msg_ids of the last messages that it has. What comes up to the last of
        them is passed over, also where that is still on its way.
        """
        early, self._heard_early = self._heard_early, []
        self._handled = frozenset(handled)
        known = [number for number, each in enumerate(early) if _msg_id(each) in self._handled]
        for frames in early[known[-1] + 1 if known else 0 :]:
            self._on_message(Channel.IOPUB, frames, zmq.Frame())

    def ping(self) -> None:
        """Send a heartbeat; :attr:`heartbeat_heard` says when the last one came back."""
        self._channels[Channel.HEARTBEAT].send([b"", b"ping"])

    async def wait_connected(self) -> None:
        """Wait until shell, control, stdin and iopub are connected."""
        await self._all_connected.wait()

    async def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Wait until the kernel has closed its connections, and take in all that it sent.

        libzmq reports a connection as closed after it has read all that came on it.
        """
        with trio.move_on_after(seconds):
            await self._disconnected.wait()
        for socket in self._channels.values():
            while self._sockets.turn(socket):
                await trio.lowlevel.checkpoint()

    def close(self, linger_ms: int = 0) -> None:
        """Close all sockets; what was sent goes out for up to ``linger_ms``."""
        for channel in self._channels.values():
            channel.raw.disable_monitor()
        for monitor in self._monitors:
            self._sockets.close(monitor)
        for socket in self._channels.values():
            self._sockets.close(socket, linger_ms)

    def _on_message(self, channel: Channel, frames: list[Part], origin: zmq.Frame) -> None:
        try:
            routing, message = zmq_frames.decode(frames, self._signer, KernelProtocolError)
        except KernelProtocolError as error:
            self._sink.kernel_rejected(channel, error)
        else:
            self.heard = True
            if self._handled and channel is Channel.IOPUB:
                if message.msg_id in self._handled:
                    return
                self._handled = frozenset()
            self._sink.kernel_sent(channel, routing, message)

    def _on_heartbeat(self, channel: Channel, frames: list[Part], origin: zmq.Frame) -> None:
        self.heartbeat_heard = time.monotonic()

    def _on_monitor(self, channel: Channel, frames: list[Part], origin: zmq.Frame) -> None:
        event, _ = _MONITOR_EVENT.unpack_from(frames[0])
        if event == zmq.EVENT_CONNECTED:
            self._connected.add(channel)
            if len(self._connected) == len(self._monitors):
                self._all_connected.set()
            if self._disconnected.is_set():
                self._disconnected = trio.Event()
        else:
            self._connected.discard(channel)
            if not self._connected:
                self._disconnected.set()


def make_socket(
    context: zmq.Context[zmq.Socket[bytes]],
    channel: Channel,
    info: ConnectionInfo,
    identity: bytes = b"",
) -> zmq.Socket[bytes]:
    """Make a socket for one channel of a kernel, which is yet to be connected."""
    raw = context.socket(_TYPES.get(channel, zmq.DEALER))
    raw.linger = 0
    raw.ipv6 = ":" in info.ip
    raw.reconnect_ivl = RECONNECT_MS
    raw.sndhwm = raw.rcvhwm = 0
    if channel in _DEALERS:
        raw.routing_id = identity
    if info.curve is not None:
        raw.curve_serverkey = info.curve.public.encode()
        raw.curve_publickey = info.curve.public.encode()
        raw.curve_secretkey = info.curve.secret.encode()
    if channel is Channel.IOPUB:
        raw.subscribe(b"")
    return raw


def _waiting(raw: zmq.Socket[bytes]) -> list[list[Part]]:
    """Take all messages out of a socket that nobody else reads."""
    messages: list[list[Part]] = []
    while True:
        try:
            messages.append(list(raw.recv_multipart(zmq.NOBLOCK)))
        except zmq.Again:
            return messages


def _msg_id(frames: list[Part]) -> str | None:
    """Return the msg_id of frames that are a message."""
    try:
        header = frames[frames.index(zmq_frames.DELIMITER) + 2]
        return msgspec.json.decode(header, type=_Header).msg_id
    except (ValueError, IndexError, *JSON_ERRORS):
        return None


class _Header(msgspec.Struct, frozen=True):
    msg_id: str
