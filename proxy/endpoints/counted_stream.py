"""The stream below a WebSocket: what was read ahead is given back, and what is sent is counted.

TCP tells how much of what was sent the other side's system has not acknowledged (``SIOCOUTQ``,
tcp(7)), also after the connection broke. That is the one thing that tells, when somebody comes
back, what he still has to get. Over TLS it is a little more than what he lacks, since the system
counts what was encrypted.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from collections.abc import Callable

import trio

RECEIVE_BYTES = 64 * 1024


class CountedStream(trio.abc.Stream):
    """A stream of which ``read`` was read already, that is somebody else's to read."""

    def __init__(self, read: bytes, stream: trio.abc.Stream) -> None:
        self.sent = 0
        """Bytes that the system has taken."""
        self._read = read
        self._stream = stream
        self._lock = trio.StrictFIFOLock()
        self._socket = _socket_of(stream)
        self._last_seen = 0
        """What was not acknowledged when it was looked at, for when it is closed."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what was given back, then what comes; ``max_bytes`` is not asked."""
        if self._read:
            given, self._read = self._read, b""
            await trio.lowlevel.checkpoint()
            return given
        return await self._stream.receive_some(RECEIVE_BYTES)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, after whoever sends now. Raises as :meth:`trio.abc.SendStream.send_all`."""
        async with self._lock:
            await self._send(data)

    async def send_in_order(self, pieces: list[bytes], begins: Callable[[int], None]) -> None:
        """Send pieces, and nothing between them. ``begins`` is told what :attr:`sent` is before."""
        async with self._lock:
            begins(self.sent)
            for piece in pieces:
                await self._send(piece)

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(self._stream, trio.SocketStream):
            await self._stream.send_all(data)
            self.sent += len(data)
            return
        # send_all does not tell how far it came when it breaks off.
        left = memoryview(data)
        try:
            while left:
                count = await self._stream.socket.send(left)
                self.sent += count
                left = left[count:]
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    @property
    def unacknowledged(self) -> int:
        """How many of the bytes that were sent have not arrived, as far as is known."""
        if self._socket is not None and self._socket.fileno() >= 0:
            raw = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0" * 4)
            (self._last_seen,) = struct.unpack("i", raw)
        return self._last_seen

    def give_up(self) -> None:
        """Have what has not arrived dropped when this is closed: the system would send it on."""
        if self._socket is not None and self._socket.fileno() >= 0:
            now = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for the stream."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        _ = self.unacknowledged
        await self._stream.aclose()


def _socket_of(stream: trio.abc.Stream) -> trio.socket.SocketType | None:
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    return stream.socket if isinstance(stream, trio.SocketStream) else None
