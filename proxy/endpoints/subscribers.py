"""The iopub side of an endpoint: everybody hears everything, one alone can be addressed, and who
does not read is cut off.

Addressing one subscriber (PROTOCOL: "Replay to one subscriber on a shared XPUB"): with
``ZMQ_XPUB_MANUAL`` the application decides what a subscription means. When one is read,
``ZMQ_SUBSCRIBE`` applies to the connection that it came from, until the next one is read. A
frontend that subscribes to everything (all known ones do) is first subscribed to a private topic,
sent what is for it alone under that topic, then unsubscribed from it and subscribed to every
first byte but that of private topics. Its own filter, empty, lets all of it through, and the
order of its pipe keeps the private messages ahead of what is published later. Live topics stay
as the kernel chose them, but for empty ones and those that begin with the private byte.

The bound on a slow subscriber: libzmq's high-water mark counts messages and drops silently, so a
frontend would wait for ever for an idle that was dropped. Instead nothing is dropped (``SNDHWM``
0), and the backlog of each connection is measured: what was published, less what its TCP
connection has acknowledged (``TCP_INFO``). What is published is counted a little short (framing is
left out), and a backlog is never less than nothing, so who keeps up stays at nothing whatever the
error. Who is too far behind is disconnected,
as Redis does with its ``client-output-buffer-limit``; its libzmq connects again by itself, and it
is welcomed anew. Where there is no TCP_INFO (ipc), the high-water mark stays.
"""

from __future__ import annotations

import socket
import struct
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

    __slots__ = ("acked", "backlog", "published")

    def __init__(self, acked: int, published: int) -> None:
        self.acked = acked
        self.published = published
        self.backlog = 0

    def check(self, acked: int, published: int) -> int:
        change = (published - self.published) - (acked - self.acked)
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
    ) -> None:
        self._raw = raw
        self._subscribed = subscribed
        self._cut_off = cut_off
        self._socket: ZmqSocket = sockets.add(raw, self._on_subscription)
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

    def publish(self, frames: Sequence[Part], size: int) -> None:
        """Send to everybody. The first frame is the topic; ``size`` is that of all, or less."""
        topic = frames[0]
        if topic[:1] == PRIVATE or not topic:
            frames = [FALLBACK_TOPIC, *frames[1:]]
        self._socket.post(frames)
        self._published += size
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
        if len(frames) > 1 or request[:1] not in (b"\x00", b"\x01"):
            return  # a message to a publisher; nobody listens
        if request == _SUBSCRIBE_ALL:
            self._welcome(origin)
        elif request == _UNSUBSCRIBE_ALL:
            for topic in _EVERY_OTHER_BYTE:
                self._raw.setsockopt(zmq.UNSUBSCRIBE, topic)
        elif request[1:2] != PRIVATE:
            option = zmq.SUBSCRIBE if request[0] else zmq.UNSUBSCRIBE
            self._raw.setsockopt(option, request[1:])

    def _welcome(self, origin: zmq.Frame) -> None:
        self._socket.flush()  # what was published until now is not for this one
        self._private_count += 1
        topic = PRIVATE + self._private_count.to_bytes(8, "big")
        self._raw.setsockopt(zmq.SUBSCRIBE, topic)
        self._newest_topic = topic
        self._subscribed()
        self._raw.setsockopt(zmq.UNSUBSCRIBE, topic)
        for topic in _EVERY_OTHER_BYTE:
            self._raw.setsockopt(zmq.SUBSCRIBE, topic)
        descriptor = origin.get(zmq.SRCFD)
        acked = _bytes_acked(descriptor)
        if acked is not None:
            self._by_descriptor[descriptor] = _Subscriber(acked, self._published)
        else:
            self._by_descriptor[descriptor] = _Subscriber(0, 0)

    def _check(self) -> None:
        self._checked = self._published
        for descriptor, subscriber in tuple(self._by_descriptor.items()):
            acked = _bytes_acked(descriptor)
            if acked is None:
                continue
            backlog = subscriber.check(acked, self._published)
            if backlog > SLOW_SUBSCRIBER_LIMIT_BYTES:
                del self._by_descriptor[descriptor]
                self._cut_off(_disconnect(descriptor), backlog)


def _borrow(descriptor: int) -> socket.socket:
    """Make a socket object of a connection that libzmq owns; detach it, never close it."""
    return socket.socket(fileno=descriptor)


def _bytes_acked(descriptor: int) -> int | None:
    """What the peer of a TCP connection has acknowledged, or None where that is not known."""
    try:
        connection = _borrow(descriptor)
    except OSError:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        acked: int = _BYTES_ACKED.unpack_from(info, _BYTES_ACKED_OFFSET)[0]
        return acked
    except (OSError, struct.error):
        return None
    finally:
        connection.detach()


def _disconnect(descriptor: int) -> str:
    """Break a connection, so that libzmq lets go of it and of its queue. Returns its peer."""
    connection = _borrow(descriptor)
    try:
        peer = connection.getpeername()
        connection.shutdown(socket.SHUT_RDWR)
        return f"{peer[0]}:{peer[1]}"
    except OSError:
        return "unknown"
    finally:
        connection.detach()
