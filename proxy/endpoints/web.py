"""The HTTP front on a port, with or without TLS. It knows no application.

Bounds: connections (``front.py``), a request's head and body (``http_requests.py``), the time that
a client may take to read a response (``http_responses.py``).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence

import trio

from proxy.endpoints.admission import Admission
from proxy.endpoints.front import BACKLOG, MAX_CONNECTIONS, Front
from proxy.endpoints.http_connection import HttpConnection, WebSink
from proxy.endpoints.routes import Route, WebSocketRoute
from proxy.errors import ClientProtocolError, ConfigError

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for TLS, before it asks for anything."""
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""The system asks now and then whether the other machine is there. Who waits for a stream's next
piece says nothing, and a laptop that was closed neither."""


class WebFront(Front):
    """One port. ``token`` is asked of everybody; ``origins`` are told in :class:`Admission`.

    ``tls`` is what :func:`proxy.endpoints.tls.tls_context` makes of a certificate.
    """

    def __init__(
        self,
        routes: Sequence[Route | WebSocketRoute],
        sink: WebSink,
        *,
        token: str,
        read_only_token: str | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        origins: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(routes, sink, max_connections)
        self.address = address
        self.port = port
        """Where it listens. Once it does, never 0."""
        self._admission = Admission(token, address, origins, read_only_token)
        self._tls = tls

    @property
    def netloc(self) -> str:
        """Address and port, as URLs have them."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"

    async def _open(self) -> trio.SocketListener:
        try:
            first, *more = await trio.open_tcp_listeners(
                self.port, host=self.address, backlog=BACKLOG
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self.address} port {self.port}: {error.strerror or error}; "
                "choose another port, or 0 for any"
            ) from None
        for each in more:  # a name with several addresses
            await each.aclose()
        self.port = first.socket.getsockname()[1]
        return first

    async def _connect(self, stream: trio.SocketStream) -> HttpConnection:
        for level, option, value in _KEEPALIVE:
            stream.setsockopt(level, option, value)
        return HttpConnection(
            stream if self._tls is None else await _secured(stream, self._tls),
            self._routes,
            self._sink,
            self._admission,
        )


async def _secured(
    stream: trio.SocketStream, context: ssl.SSLContext
) -> trio.SSLStream[trio.SocketStream]:
    """Shake hands. Raises :class:`ClientProtocolError` where the client does not know how."""
    secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        with trio.fail_after(HANDSHAKE_SECONDS):
            await secured.do_handshake()
    except trio.TooSlowError:
        raise ClientProtocolError("a TLS handshake took too long") from None
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            # Python 3.11.2 loses a client's alert; then there is no reason but the end.
            why = (error.__cause__.reason or "the client hung up").lower().replace("_", " ")
            raise ClientProtocolError(f"a TLS handshake failed: {why}") from None
        raise
    return secured
