"""The HTTP front on a Unix socket: the file's permissions and the user are the right to come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio

from proxy.endpoints.front import BACKLOG, MAX_CONNECTIONS, Front
from proxy.endpoints.http_connection import HttpConnection, WebSink
from proxy.endpoints.peers import peer_of
from proxy.endpoints.routes import Route, WebSocketRoute, refusal
from proxy.endpoints.unix_socket import PrivateSocket, listen_on
from proxy.errors import ClientProtocolError


class UnixFront(Front):
    """One Unix socket, for its owner's processes. No token is asked for, and no page gets here."""

    def __init__(
        self,
        routes: Sequence[Route | WebSocketRoute],
        sink: WebSink,
        *,
        path: Path,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(routes, sink, max_connections)
        self.path = path
        self._place: PrivateSocket | None = None

    async def _open(self) -> trio.SocketListener:
        self._place = listen_on(self.path, BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(self._place.socket))

    def _leave(self) -> None:
        super()._leave()
        if self._place is not None:
            self._place.close()

    async def _connect(self, stream: trio.SocketStream) -> HttpConnection:
        peer = peer_of(stream.socket)
        connection = HttpConnection(
            stream, self._routes, self._sink, admission=None, peer_pid=peer.pid or None
        )
        if not peer.may_come_in:
            await connection.refuse(refusal(403, "this socket is another user's"))
            raise ClientProtocolError(f"a process of user {peer.uid} connected to the socket")
        return connection
