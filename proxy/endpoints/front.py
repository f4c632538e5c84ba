"""What all HTTP fronts have in common: a table, and connections up to a number.

There is one front for each place where clients connect: a port (``web.py``), a Unix socket
(``unix_front.py``). Two fronts may have one table. Each has its own idea of who may come in, and
its own connections: whoever uses up those of a port leaves those of the Unix socket alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio

from proxy.endpoints.failures import innermost
from proxy.endpoints.http_connection import HttpConnection, WebSink
from proxy.endpoints.routes import Route, Routes, WebSocketRoute, refusal
from proxy.errors import ClientProtocolError

MAX_CONNECTIONS = 200
BACKLOG = 128
"""Connections that wait to be accepted."""


class Front(ABC):
    """A place where clients connect."""

    def __init__(
        self,
        routes: Sequence[Route | WebSocketRoute],
        sink: WebSink,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.connections = 0
        """How many there are."""
        self._routes = Routes(routes)
        self._sink = sink
        self._max_connections = max_connections
        self._listener: trio.SocketListener | None = None

    async def listen(self) -> None:
        """Take the place. Raises :class:`ConfigError` where it cannot be had."""
        self._listener = await self._open()

    def close(self) -> None:
        """Let go of the place, if :meth:`serve` has not done so."""
        if self._listener is not None:
            self._leave()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. All connections are closed then, WebSockets with a goodbye.

        Raises :class:`ConfigError` where the place is yet to be taken, and cannot be had.
        """
        if self._listener is None:
            await self.listen()
        assert self._listener is not None
        task_status.started()
        try:
            await trio.serve_listeners(self._serve_connection, [self._listener])
        finally:
            self._leave()

    @abstractmethod
    async def _open(self) -> trio.SocketListener:
        """Take the place. Raises :class:`ConfigError`."""

    def _leave(self) -> None:
        """Let go of the place, where nobody listens any more."""
        self._listener = None

    @abstractmethod
    async def _connect(self, stream: trio.SocketStream) -> HttpConnection:
        """Make a connection of what was accepted.

        Raises :class:`ClientProtocolError` and :class:`trio.BrokenResourceError`.
        """

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            connection = await self._connect(stream)
            if self.connections > self._max_connections:
                await connection.refuse(refusal(503, "too many connections; close some"))
            else:
                await connection.serve()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it hung up
        except ClientProtocolError as error:
            self._sink.rejected(error)
        except Exception as error:
            self._sink.failed(innermost(error))
        finally:
            self.connections -= 1
            await trio.aclose_forcefully(stream)
