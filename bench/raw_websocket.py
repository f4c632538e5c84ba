"""A WebSocket client that costs as little as possible: frames are cut out of what the system gives.

The libraries for it read a frame in several calls, or in a task of its own, and would be what is
measured of a burst. Messages of one frame only, and nothing compressed: what kernels' servers send.
"""

from __future__ import annotations

import base64
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable
from urllib.parse import urlsplit

from bench.errors import BenchError

_RECEIVE_BYTES = 256 * 1024
_BINARY, _CLOSE, _PING, _PONG = 0x82, 0x88, 0x89, 0x8A  # RFC 6455, 5.2: each the only fragment
_TEXT = 0x81
_MASK = b"\0\0\0\0"
"""Clients must mask, and this mask changes nothing."""
LEFT_THE_PAGE = 1001
"""RFC 6455, 7.4.1. Who goes so does not come back for what it missed."""


class RawWebSocket:
    """An open WebSocket. It is blocking; :meth:`take` is for who waits for several at once."""

    def __init__(
        self, url: str, headers: Iterable[str], subprotocol: str, timeout_seconds: float
    ) -> None:
        """Raises :class:`BenchError` where the server does not want it."""
        place = urlsplit(url)
        assert place.hostname is not None
        self._socket = socket.create_connection((place.hostname, place.port or 80), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._messages: deque[bytes] = deque()
        self.acknowledges_at_once = False
        """Whether our system is to acknowledge what comes without waiting for something to send
        along. It waits 40 ms, and so does a server that leaves Nagle's algorithm on."""
        self.heard_at = 0.0
        """When :meth:`receive_until` received something last, on the clock ``perf_counter``."""
        lines = (
            f"GET {place.path}?{place.query} HTTP/1.1",
            f"Host: {place.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {subprotocol}",
            *headers,
        )
        try:
            self._socket.sendall("\r\n".join((*lines, "", "")).encode())
            self.subprotocol = self._accepted()
        except BaseException:
            self._socket.close()
            raise

    def _accepted(self) -> str:
        """Read the answer to the handshake. Returns the subprotocol that was chosen."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, self._rest = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if " 101 " not in f"{status} ":
            raise BenchError(f"the server wants no WebSocket: {status}")
        fields = (line.partition(":") for line in lines)
        chosen = {name.lower(): value.strip() for name, _, value in fields}
        return chosen.get("sec-websocket-protocol", "")

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, payload: bytes, kind: int = _BINARY) -> None:
        """Send a message."""
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", kind, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", kind, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", kind, 0x80 | 127, length)
        self._socket.sendall(b"".join((head, _MASK, payload)))

    def receive(self) -> bytes:
        """Wait for a message."""
        while not self._messages:
            self._messages.extend(self._cut(self._more()))
        return self._messages.popleft()

    def take(self) -> list[bytes]:
        """Return the messages that have come; waits where nothing has."""
        return self._cut(self._more())

    def receive_until(self, mark: bytes) -> list[bytes]:
        """Take in whatever comes until this was in it, and only then look for messages.

        Returns what there is as well where nothing comes any more.
        """
        earlier = list(self._messages)
        self._messages.clear()
        chunks: list[bytes] = []
        seen = b"".join((*earlier, self._rest))  # the mark may be in that already
        while True:
            try:
                chunks.append(self._more())
            except TimeoutError:
                break
            self.heard_at = time.perf_counter()
            seen += chunks[-1]
            if mark in seen:
                break
            seen = seen[-len(mark) :]
        return earlier + self._cut(b"".join(chunks))

    def _more(self) -> bytes:
        if self.acknowledges_at_once:  # the system forgets it (tcp(7), TCP_QUICKACK)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise BenchError("the server has broken off a WebSocket")
        return data

    def _cut(self, data: bytes) -> list[bytes]:
        """Take messages out of what there is; pings are answered."""
        data = self._rest + data
        messages = []
        at, end = 0, len(data)
        while at + 2 <= end:
            kind, length, start = data[at], data[at + 1], at + 2
            if length >= 126:
                size = 2 if length == 126 else 8
                start += size
                if start > end:
                    break
                length = int.from_bytes(data[start - size : start])
            if start + length > end:
                break
            at = start + length
            if kind in (_BINARY, _TEXT):
                messages.append(data[start:at])
            elif kind == _PING:
                self.send(data[start:at], _PONG)
            elif kind == _CLOSE:
                raise BenchError(f"the server has closed a WebSocket: {data[start:at]!r}")
            elif kind != _PONG:
                raise BenchError(f"a WebSocket frame of a kind that is not expected: {kind:#x}")
        self._rest = data[at:]
        return messages

    def close(self) -> None:
        """Leave as a page does that is closed, and wait until the server has closed it too."""
        try:
            self.send(struct.pack("!H", LEFT_THE_PAGE), _CLOSE)
            while self._socket.recv(_RECEIVE_BYTES):
                pass
        except OSError:
            pass
        finally:
            self._socket.close()
