"""A TCP proxy between a frontend and kmux, which a test can cut: what a lost network does."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket that says nothing more when it is closed."""


class TcpProxy:
    """Forwards connections. Made by :func:`tcp_proxy`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._open = threading.Event()
        self._open.set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, job: object, *arguments: object) -> None:
        thread = threading.Thread(target=job, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            self._open.wait()
            try:
                outer = socket.create_connection(self._target)
            except OSError:
                inner.close()
                continue
            for each in (inner, outer):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (inner, outer)
            with self._lock:
                self._pairs.add(pair)
            self._start(self._forward, inner, outer, pair)
            self._start(self._forward, outer, inner, pair)

    def _forward(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                sink.sendall(piece)
        self._end(pair)

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for each in pair:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def cut(self) -> None:
        """Break all connections off, without a word and in the middle of whatever is said."""
        with self._lock:
            pairs = tuple(self._pairs)
        for pair in pairs:
            for each in pair:
                with suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._end(pair)

    def hold(self) -> None:
        """Break all connections off. New ones wait until :meth:`release`."""
        self._open.clear()
        self.cut()

    def release(self) -> None:
        """Let connections through again."""
        self._open.set()

    def close(self) -> None:
        self.release()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)


@contextmanager
def tcp_proxy(url: str) -> Iterator[TcpProxy]:
    """Have one in front of this address until the block is left."""
    proxy = TcpProxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
