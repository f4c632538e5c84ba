"""The iopub side of an endpoint: everybody hears everything, one alone can be addressed, and who
does not read is cut off.

Addressing one subscriber (PROTOCOL: "Replay to one subscriber on a shared XPUB"): with
``ZMQ_XPUB_MANUAL`` the application decides what a subscription means. When one is read,
``ZMQ_SUBSCRIBE`` applies to the connection that it came from, until the next one is read. A
frontend that subscribes to everything (all known ones do) is subscribed to a private topic, and to
every first byte but that of private topics, and sent what is for it alone under its private one.
Its own filter, empty, lets all of it through, and the order of its pipe keeps the private
messages ahead of what is published later. Live topics stay as the kernel chose them, but for
empty ones and those that begin with the private byte.

The bound on a slow subscriber: libzmq's high-water mark counts messages and drops silently, so a
frontend would wait for ever for an idle that was dropped. Instead nothing is dropped (``SNDHWM``
0), and the backlog of each connection is measured: what was published, framing included, less what
its TCP connection has acknowledged (``TCP_INFO``). A backlog is never less than nothing: encryption
adds bytes that are acknowledged and not counted. Of one that subscribed to some topics it is not
known what it is sent: it is behind for as long as it takes nothing. Who is too far behind is
disconnected,
as Redis does with its ``client-output-buffer-limit``; its libzmq connects again by itself, and it
is welcomed anew. Where there is no TCP_INFO (ipc), the high-water mark stays.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable, Sequence

import zmq

from proxy.message import Part
from proxy.sockets import SocketSet, ZmqSocket

PRIVATE = b"\x00"
"""First byte of private topics. libzmq's automatic identities begin so as well, and IRkernel uses
identities as topics: those are published under ``FALLBACK_TOPIC``."""
FALLBACK_TOPIC = b"kernel."
_EVERY_OTHER_BYTE = [bytes([byte]) for byte in range(1, 256)]

SLOW_SUBSCRIBER_LIMIT_BYTES = 64 * 1024 * 1024
"""Twice the 32 MB at which Redis disconnects a pubsub client. Small messages take up to three
times their bytes in memory (libzmq keeps 64 bytes of bookkeeping for each frame)."""
CHECK_EVERY_BYTES = 4 * 1024 * 1024
IPC_HIGH_WATER_MARK = 50_000
"""Messages, for connections whose backlog cannot be measured."""

_BYTES_ACKED = struct.Struct("=Q")
_BYTES_ACKED_OFFSET = 120  # of tcpi_bytes_acked in struct tcp_info, linux/tcp.h
_SUBSCRIBE_ALL, _UNSUBSCRIBE_ALL = b"\x01", b"\x00"


class _Subscriber:
    """One connection: what it had acknowledged, and its backlog, when it was last checked."""

    __slots__ = ("acked", "backlog", "published", "wants_all")

    def __init__(self, acked: int, published: int, wants_all: bool) -> None:
        self.acked = acked
        self.published = published
        self.wants_all = wants_all
        self.backlog = 0

    def check(self, acked: int, unacked: int, published: int) -> int:
        change = published - self.published
        if self.wants_all:
            change -= acked - self.acked
        elif acked != self.acked or not unacked:
            self.backlog = change = 0
        self.backlog = max(0, self.backlog + change)
        self.acked, self.published = acked, published
        return self.backlog


class Subscribers:
    """The XPUB socket of an endpoint."""

    def __init__(
        self,
        sockets: SocketSet,
        raw: zmq.Socket[bytes],
        *,
        subscribed: Callable[[], None],
        cut_off: Callable[[str, int], None],
        is_open: Callable[[int], bool],
    ) -> None:
        self._raw = raw
        self._subscribed = subscribed
        self._cut_off = cut_off
        self._is_open = is_open
        # Who subscribes and asks at once is to hear what its question makes the kernel publish.
        self._socket: ZmqSocket = sockets.add(raw, self._on_subscription, first=True)
        self._published = 0
        self._checked = 0
        self._private_count = 0
        self._by_descriptor: dict[int, _Subscriber] = {}
        self._newest_topic = b""

    @staticmethod
    def configure(raw: zmq.Socket[bytes], transport: str) -> None:
        """Set what must be set before the socket is bound."""
        raw.setsockopt(zmq.XPUB_MANUAL, 1)
        raw.setsockopt(zmq.SNDHWM, 0 if transport == "tcp" else IPC_HIGH_WATER_MARK)

    def __len__(self) -> int:
        return len(self._by_descriptor)

    def publish(self, frames: Sequence[Part]) -> None:
        """Send to everybody. The first frame is the topic."""
        topic = frames[0]
        if topic[:1] == PRIVATE or not topic:
            frames = [FALLBACK_TOPIC, *frames[1:]]
        self._socket.post(frames)
        published = self._published
        for frame in frames:
            size = len(frame)
            published += size + 2 if size < 256 else size + 9  # ZMTP 3.1, "Framing"
        self._published = published
        if self._published - self._checked >= CHECK_EVERY_BYTES:
            self._check()

    def send_to_newest(self, frames: Sequence[Part]) -> None:
        """Send to the subscriber whose subscription is being handled, and to nobody else."""
        self._socket.send([self._newest_topic, *frames[1:]])

    def disconnected(self, descriptor: int) -> None:
        """A connection closed, says the monitor."""
        self._by_descriptor.pop(descriptor, None)

    def close(self, sockets: SocketSet, linger_ms: int) -> None:
        sockets.close(self._socket, linger_ms)

    def _on_subscription(self, frames: list[Part], origin: zmq.Frame) -> None:
        request = bytes(frames[0])
        try:
            descriptor = origin.get(zmq.SRCFD)
        except zmq.ZMQError:
            return  # libzmq unsubscribes in the name of a connection that closed
        if len(frames) > 1 or request[:1] not in (b"\x00", b"\x01"):
            return  # a message to a publisher; nobody listens
        if request == _SUBSCRIBE_ALL:
            self._welcome(descriptor)
        elif request == _UNSUBSCRIBE_ALL:
            for topic in _EVERY_OTHER_BYTE:
                self._raw.setsockopt(zmq.UNSUBSCRIBE, topic)
        elif request[1:2] != PRIVATE:
            option = zmq.SUBSCRIBE if request[0] else zmq.UNSUBSCRIBE
            self._raw.setsockopt(option, request[1:])
            if request[0]:
                self._measure(descriptor, wants_all=False)

    def _welcome(self, descriptor: int) -> None:
        # All subscriptions come before anything is sent: while libzmq sends, it may take in that
        # another connection closed, and it then forgets which one they apply to (libzmq 4.3,
        # xpub_t::send_unsubscription). For the same reason the private one is not taken back; it
        # is used once and goes with the connection.
        self._private_count += 1
        topic = PRIVATE + self._private_count.to_bytes(8, "big")
        self._raw.setsockopt(zmq.SUBSCRIBE, topic)
        for other in _EVERY_OTHER_BYTE:
            self._raw.setsockopt(zmq.SUBSCRIBE, other)
        self._newest_topic = topic
        self._subscribed()
        self._measure(descriptor, wants_all=True)

    def _measure(self, descriptor: int, *, wants_all: bool) -> None:
        known = self._by_descriptor.get(descriptor)
        if (known is None or wants_all) and self._is_open(descriptor):
            acked, _ = _progress(descriptor) or (0, 0)
            self._by_descriptor[descriptor] = _Subscriber(acked, self._published, wants_all)

    def _check(self) -> None:
        self._checked = self._published
        for descriptor, subscriber in tuple(self._by_descriptor.items()):
            progress = _progress(descriptor)
            if progress is None:
                continue
            backlog = subscriber.check(*progress, self._published)
            if backlog > SLOW_SUBSCRIBER_LIMIT_BYTES:
                del self._by_descriptor[descriptor]
                self._cut_off(_disconnect(descriptor), backlog)


def _borrow(descriptor: int) -> socket.socket:
    """Make a socket object of a connection that libzmq owns; detach it, never close it."""
    return socket.socket(fileno=descriptor)


def _progress(descriptor: int) -> tuple[int, int] | None:
    """Return how many bytes the peer has acknowledged, and how many it has yet to.

    None where that is not known: the connection is not TCP, or gone.
    """
    try:
        connection = _borrow(descriptor)
    except OSError:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        acked: int = _BYTES_ACKED.unpack_from(info, _BYTES_ACKED_OFFSET)[0]
        unacked = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4)
        return acked, int.from_bytes(unacked, sys.byteorder)
    except (OSError, struct.error):
        return None
    finally:
        connection.detach()


def _disconnect(descriptor: int) -> str:
    """Break a connection, so that libzmq lets go of it and of its queue. Returns its peer."""
    try:
        connection = _borrow(descriptor)
    except OSError:
        return "unknown"
    try:
        peer = connection.getpeername()
        connection.shutdown(socket.SHUT_RDWR)
        return f"{peer[0]}:{peer[1]}"
    except OSError:
        return "unknown"
    finally:
        connection.detach()
