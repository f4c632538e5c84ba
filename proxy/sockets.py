"""ZMQ sockets as trio citizens. The rules of libzmq's edge-triggered descriptor live here only.

A ZMQ socket has one file descriptor, and it says "something changed", not "something is there":
after *any* send or receive the edge may be gone, though messages wait (zmq_getsockopt(3),
``ZMQ_FD``). So:

* A socket is drained until ``ZMQ_EVENTS`` says that nothing is left, and only then waited for.
* A send may have eaten the edge of a message that came in meanwhile, so every socket that was
  sent on is checked again before anybody sleeps.

All sockets of a process are in one epoll set, which trio waits for as one descriptor. One wake-up
then serves whatever came in on any of them, in rounds, so that a flood on one socket delays the
others by at most ``MESSAGES_PER_TURN``. Messages are handed to a plain callback: between libzmq
and the session there is no task switch, and no checkpoint.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import trio
import zmq
from zmq.backend import Socket as _RawSocket

from proxy.errors import ConfigError, InternalError

if TYPE_CHECKING:
    from proxy.message import Part

MESSAGES_PER_TURN = 64
"""Messages that one socket may deliver before the next one has its turn (about 1 ms)."""
MESSAGES_AT_LEAST = 8
"""After so many it looks whether others have got something meanwhile, and ends its turn for them:
a session that floods is not to cost its neighbours a millisecond each way."""
MAX_SETTLING_ROUNDS = 1000
"""A flood does not end for our sake."""
COPY_LIMIT_BYTES = 64 * 1024
"""Frames from here on are views of libzmq's memory; below it a copy is cheaper than a view."""

# pyzmq's public Socket.send and send_multipart check and wrap each frame in Python: 8.7 µs for a
# message of seven frames, of which the C call is 1.6 µs (bench/micro.py). These are that call.
_send = _RawSocket.send
_recv = _RawSocket.recv
_get: Callable[[zmq.Socket[bytes], int], Any] = _RawSocket.get
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = _NOBLOCK | int(zmq.SNDMORE)
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)

OnMessage = Callable[[list["Part"], zmq.Frame], None]
"""Called with the frames, and the last one as libzmq gave it (its ``get(zmq.SRCFD)`` names the
connection that it came from)."""


def _send_view(raw: zmq.Socket[bytes], view: memoryview, flags: int) -> None:
    """Send a view; where it is one of a received frame, that is handed back, not copied."""
    origin: Any = view.obj
    if type(origin) is zmq.Frame and len(origin) == view.nbytes:
        _send(raw, origin, flags, False)
    else:
        _send(raw, view, flags)


class Unreachable(Exception):
    """The peer that the first frame names is not connected, or its queue is full."""


class ZmqSocket:
    """One ZMQ socket in a :class:`SocketSet`. Made by :meth:`SocketSet.add`."""

    __slots__ = ("_alive", "_on_message", "_posted", "_set", "place", "raw")

    def __init__(
        self, raw: zmq.Socket[bytes], on_message: OnMessage, owner: SocketSet, place: int = 2
    ) -> None:
        self.raw = raw
        self.place = place
        """Whose turn comes first of those that have something: 0 before 2."""
        self._on_message = on_message
        self._set = owner
        self._posted: list[Sequence[Part]] = []
        self._alive = True

    def send(self, frames: Sequence[Part]) -> None:
        """Send one message, at once or not at all.

        Raises :class:`Unreachable` where a ROUTER with ``ROUTER_MANDATORY`` does not know the
        peer or its queue is full, or where a DEALER's queue is full.
        """
        if not self._alive:
            raise Unreachable("the socket is closed")
        raw, flags = self.raw, _MORE
        left = len(frames)
        try:
            for frame in frames:
                left -= 1
                if not left:
                    flags = _NOBLOCK
                if isinstance(frame, bytes):
                    _send(raw, frame, flags)
                else:
                    _send_view(raw, frame, flags)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise Unreachable(str(error)) from None
            raise
        finally:
            self._set.check(self)  # this send may have eaten the edge

    def post(self, frames: Sequence[Part]) -> None:
        """Send one message with the others of this turn, on a socket that cannot refuse it.

        Each send wakes libzmq's I/O thread if that has gone to sleep, and it does within the time
        that a message takes here: sent one by one, a message costs three times the CPU and goes
        out in a TCP segment of its own.
        """
        if not self._set.in_turn:
            self.send(frames)
            return
        if not self._posted:
            self._set.posted.append(self)
        self._posted.append(frames)

    def flush(self) -> None:
        """Send what was posted in this turn."""
        posted, self._posted = self._posted, []
        for frames in posted:
            self.send(frames)

    @property
    def has_message(self) -> bool:
        """Whether a message waits to be received. Asking makes libzmq look."""
        return bool(_get(self.raw, _EVENTS) & _POLLIN)

    def drain(self, edge: bool = False) -> bool:
        """Deliver up to one turn of messages. Returns whether there may be more.

        ``edge`` is whether libzmq signalled, so that there probably is one.
        """
        raw, on_message = self.raw, self._on_message
        asks = 0 if edge else -1
        for turn in range(MESSAGES_PER_TURN):
            # Asking is cheaper than a receive that fails; where one will succeed, neither is.
            if not self._alive:
                return False
            if turn and not turn % MESSAGES_AT_LEAST and self._set.is_wanted_elsewhere(self):
                return True
            if asks < turn < 2 and not _get(raw, _EVENTS) & _POLLIN:
                return False
            try:
                frame = _recv(raw, _NOBLOCK, False)
            except zmq.Again:
                return False
            frames: list[Part] = [frame.bytes if len(frame) < COPY_LIMIT_BYTES else frame.buffer]
            while frame.more:
                frame = _recv(raw, _NOBLOCK, False)
                frames.append(frame.bytes if len(frame) < COPY_LIMIT_BYTES else frame.buffer)
            on_message(frames, frame)
        return True


class SocketSet:
    """All ZMQ sockets of a process, waited for as one. :meth:`run` is its only task."""

    def __init__(self) -> None:
        if not hasattr(select, "epoll"):
            raise ConfigError("kmux needs Linux: it waits for ZMQ sockets with epoll")
        self._epoll = select.epoll()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._alarm, select.EPOLLIN)
        self._asleep = False
        self._by_descriptor: dict[int, ZmqSocket] = {}
        self.ready: dict[ZmqSocket, bool] = {}
        """Sockets that may have something: an edge was seen (True), or they were sent on."""
        self.posted: list[ZmqSocket] = []
        self.in_turn = False
        """Whether messages are being delivered, and what is posted goes out at the turn's end."""
        self._at_turn_end: list[Callable[[], None]] = []
        self._newcomers: set[ZmqSocket] = set()
        """Sockets that have got something and had no turn since."""
        self.wakeups = self.rounds = 0

    def add(
        self, raw: zmq.Socket[bytes], on_message: OnMessage, *, first: bool = False
    ) -> ZmqSocket:
        """Take over a socket: from now on only this set receives on it.

        What comes in on one that is ``first`` is delivered before what came in with it on others.
        """
        descriptor = raw.FD
        if descriptor in self._by_descriptor:
            raise InternalError(f"descriptor {descriptor} is in the set already")
        socket = ZmqSocket(raw, on_message, self, place=0 if first else 2)
        self._by_descriptor[descriptor] = socket
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)
        self.check(socket)
        return socket

    def at_turn_end(self, call: Callable[[], None]) -> None:
        """Call when what this turn brought is handled, and what it led to is sent.

        Once: whoever has more to do then asks again. Outside of a turn it is called at once.
        """
        if self.in_turn:
            self._at_turn_end.append(call)
        else:
            call()

    def check(self, socket: ZmqSocket) -> None:
        """Look at a socket before the next sleep, and wake up for it if this one has begun."""
        self.ready.setdefault(socket, False)
        if self._asleep:
            self._asleep = False
            os.eventfd_write(self._alarm, 1)

    def close(self, socket: ZmqSocket, linger_ms: int = 0) -> None:
        """Forget a socket and close it; unsent messages are kept for ``linger_ms``."""
        if not socket._alive:
            return
        socket._alive = False
        descriptor = socket.raw.FD
        self._epoll.unregister(descriptor)
        del self._by_descriptor[descriptor]
        self.ready.pop(socket, None)
        self._newcomers.discard(socket)
        socket.raw.close(linger=linger_ms)

    async def run(self) -> None:
        """Deliver messages until cancelled. On cancellation no message is half-delivered."""
        epoll, ready = self._epoll, self.ready
        while True:
            while ready:
                self.rounds += 1
                # Sockets that become ready meanwhile (by a send) join the next round. Who has got
                # something goes ahead of those that had a turn and have more.
                for socket in sorted(ready, key=self._place):
                    self.turn(socket, ready.pop(socket, False))
                self._settle()
                if ready:
                    await trio.lowlevel.checkpoint()
                    self._see_edges()
            self._asleep = True
            try:
                await trio.lowlevel.wait_readable(epoll.fileno())
            finally:
                self._asleep = False
            self.wakeups += 1
            self._see_edges()

    def _place(self, socket: ZmqSocket) -> int:
        return socket.place if socket in self._newcomers else socket.place + 1

    def _settle(self) -> None:
        """Forget the sockets that were only sent on and have nothing, which are most."""
        for socket, has_more in tuple(self.ready.items()):
            if not has_more and not socket.has_message:
                del self.ready[socket]

    def _see_edges(self) -> None:
        for descriptor, _ in self._epoll.poll(0):
            socket = self._by_descriptor.get(descriptor)
            if socket is not None:
                self.ready[socket] = True
                self._newcomers.add(socket)
            else:
                os.eventfd_read(self._alarm)

    def is_wanted_elsewhere(self, socket: ZmqSocket) -> bool:
        """Whether another socket has got something, and waits for its turn."""
        self._see_edges()
        return len(self._newcomers) > (socket in self._newcomers)

    def turn(self, socket: ZmqSocket, edge: bool = False) -> bool:
        """Give one socket its turn and send what was posted in it. Returns whether it has more."""
        outer, self.in_turn = self.in_turn, True
        self._newcomers.discard(socket)
        more = socket.drain(edge)
        if more:
            self.ready[socket] = True
        self.in_turn = outer
        if not outer:
            while self.posted:
                self.posted.pop().flush()
            if self._at_turn_end:
                calls, self._at_turn_end = self._at_turn_end, []
                for call in calls:
                    call()
        return more

    def settle(self) -> None:
        """Deliver all that has come in, and what that leads to, without a checkpoint."""
        for _ in range(MAX_SETTLING_ROUNDS):
            sockets = tuple(self._by_descriptor.values())
            if not [socket for socket in sockets if self.turn(socket)]:
                return

    def close_all(self) -> None:
        """Close every socket and the set itself."""
        for socket in tuple(self._by_descriptor.values()):
            self.close(socket)
        self._epoll.close()
        os.close(self._alarm)
