"""The stream below a WebSocket: what was read ahead is given back, and what belongs together is
sent with nothing between."""

from __future__ import annotations

import trio

RECEIVE_BYTES = 64 * 1024


class UpgradedStream(trio.abc.Stream):
    """A stream of which ``read`` was read already, that is somebody else's to read."""

    def __init__(self, read: bytes, stream: trio.abc.Stream) -> None:
        self._read = read
        self._stream = stream
        self._lock = trio.StrictFIFOLock()

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
            await self._stream.send_all(data)

    async def send_in_order(self, pieces: list[bytes]) -> None:
        """Send pieces, and nothing between them. Raises as :meth:`send_all`."""
        async with self._lock:
            for piece in pieces:
                await self._stream.send_all(piece)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for the stream."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()
