"""The HTTP front: a port, and what is common to all that is served on it. It knows no application.

A connection's way: a head is read (h11) within its time and size; :class:`Admission` lets it in or
not; the table (:class:`Routes`) has who answers. A response is written, and the next request is
read from the same connection; or it becomes a WebSocket and stays one.

Bounds: connections, a head's size and time, the time that a client may take to read a response.
Whatever a client does wrong ends its connection, and is counted by the sink.
"""

from __future__ import annotations

import email.utils
import http
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import h11
import msgspec
import trio

from proxy.endpoints import websocket
from proxy.endpoints.admission import Admission
from proxy.endpoints.routes import (
    Request,
    Response,
    Route,
    Routes,
    WebSocketRoute,
    refusal,
    request_of,
)
from proxy.errors import ClientProtocolError, ConfigError

MAX_CONNECTIONS = 200
MAX_HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
"""How long a client may take for a request's head."""
IDLE_SECONDS = 60.0
"""How long it may keep a connection between two requests."""
READ_SECONDS = 30.0
"""How long it may take for each piece of a response."""
PIECE_BYTES = 256 * 1024
LINGER_SECONDS = 1.0
"""How long it may go on sending what nobody reads, so that it reads why."""
_CHUNK_BYTES = 4 * 1024
_BACKLOG = 128

_ALWAYS = (
    ("Referrer-Policy", "no-referrer"),  # a URL may have the token in it
    ("X-Content-Type-Options", "nosniff"),
)


class WebSink(Protocol):
    """What the front reports. Called between two requests; must neither block nor raise."""

    def rejected(self, error: ClientProtocolError) -> None:
        """A client did something wrong, and was hung up on."""

    def failed(self, error: Exception) -> None:
        """Who answers a request, or talks on a WebSocket, raised."""


class WebFront:
    """One port. ``token`` is asked of everybody; ``origins`` are told in :class:`Admission`."""

    def __init__(
        self,
        routes: Sequence[Route | WebSocketRoute],
        sink: WebSink,
        *,
        token: str,
        address: str = "127.0.0.1",
        port: int = 0,
        origins: Iterable[str] = (),
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.address = address
        self.port = port
        """Where it listens. Once it does, never 0."""
        self.connections = 0
        """How many there are."""
        self._routes = Routes(routes)
        self._sink = sink
        self._admission = Admission(token, address, origins)
        self._max_connections = max_connections
        self._listeners: list[trio.SocketListener] = []

    @property
    def netloc(self) -> str:
        """Address and port, as URLs have them."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}"

    async def listen(self) -> None:
        """Take the port. Raises :class:`ConfigError` where it cannot be had."""
        try:
            listeners = await trio.open_tcp_listeners(
                self.port, host=self.address, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {self.address} port {self.port}: {error.strerror or error}; "
                "choose another port, or 0 for any"
            ) from None
        for more in listeners[1:]:  # a name with several addresses
            await more.aclose()
        self._listeners = listeners[:1]
        self.port = listeners[0].socket.getsockname()[1]

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. All connections are closed then, WebSockets with a goodbye.

        Raises :class:`ConfigError` where the port is yet to be taken, and cannot be had.
        """
        if not self._listeners:
            await self.listen()
        task_status.started()
        await trio.serve_listeners(self._serve_connection, self._listeners)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            connection = _Connection(stream, self._admission, self._routes, self._sink)
            if self.connections > self._max_connections:
                await connection.refuse(refusal(503, "too many connections; close some"))
            else:
                await connection.serve()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it hung up
        except ClientProtocolError as error:
            self._sink.rejected(error)
        except Exception as error:
            self._sink.failed(error)
        finally:
            self.connections -= 1
            await trio.aclose_forcefully(stream)


class _Connection:
    """One connection, from its first request to its last."""

    def __init__(
        self, stream: trio.SocketStream, admission: Admission, routes: Routes, sink: WebSink
    ) -> None:
        self._stream = stream
        self._admission = admission
        self._routes = routes
        self._sink = sink
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    async def serve(self) -> None:
        """Answer requests until either side has enough.

        Raises :class:`ClientProtocolError`, and what those raise who talk on a WebSocket.
        """
        patience = HEAD_SECONDS
        while True:
            try:
                head = await self._next_head(patience)
                if head is None:
                    return
                request = request_of(head)
            except h11.RemoteProtocolError as error:
                await self.refuse(refusal(error.error_status_hint, "malformed request"))
                raise ClientProtocolError(f"malformed request: {error}") from None
            except ClientProtocolError as error:
                await self.refuse(refusal(400, str(error)))
                raise
            origin = None
            response = self._admission.refusal_of(request)
            if response is None:
                origin = request.header(b"origin")
                response = await self._answer(head, request)
            if response is None:
                return
            await self._respond(response, is_head=request.method == "HEAD", origin=origin)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._linger()
                return
            self._http.start_next_cycle()
            patience = IDLE_SECONDS

    async def refuse(self, response: Response) -> None:
        """Answer whatever came, or is to come, and hang up."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._respond(response, is_last=True)
            await self._linger()

    async def _next_head(self, patience: float) -> h11.Request | None:
        """Read a request's head. None where there is none any more."""
        deadline = trio.current_time() + patience
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                if not isinstance(self._http.next_event(), h11.EndOfMessage):
                    raise ClientProtocolError("malformed request: nothing here takes a body")
                return event
            if isinstance(event, h11.ConnectionClosed):
                return None
            with trio.move_on_at(deadline) as waiting:
                data = await self._stream.receive_some(_CHUNK_BYTES)
            if waiting.cancelled_caught:
                return None
            deadline = min(deadline, trio.current_time() + HEAD_SECONDS)
            self._http.receive_data(data)

    async def _answer(self, head: h11.Request, request: Request) -> Response | None:
        """Let somebody answer. Returns None where it was a talk on a WebSocket, which is over."""
        found = self._routes.find(request)
        if isinstance(found, Response):
            return found
        route, places = found
        request = msgspec.structs.replace(request, places=places)
        if isinstance(route, WebSocketRoute):
            refused = websocket.why_no_websocket(request)
            if refused is None:
                read = _written(head) + self._http.trailing_data[0]
                talk = partial(route.talk, request)
                await websocket.serve(self._stream, read, talk, route.max_message_bytes)
            return refused
        try:
            return await route.answer(request)
        except Exception as error:
            self._sink.failed(error)
            return refusal(500, "something failed here; the log has what")

    async def _respond(
        self,
        response: Response,
        *,
        is_head: bool = False,
        is_last: bool = False,
        origin: str | None = None,
    ) -> None:
        """Write a response. ``origin`` is the page that may read it."""
        body = response.body
        headers = [
            *response.headers,
            *_ALWAYS,
            ("Content-Length", str(len(body))),
            ("Date", email.utils.formatdate(usegmt=True)),
        ]
        if is_last:
            headers.append(("Connection", "close"))
        if origin is not None:
            headers += [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        status = http.HTTPStatus(response.status)
        event = h11.Response(status_code=status, reason=status.phrase.encode(), headers=headers)
        await self._send(self._http.send(event))
        if not is_head:
            for at in range(0, len(body), PIECE_BYTES):
                await self._send(self._http.send(h11.Data(body[at : at + PIECE_BYTES])))
        await self._send(self._http.send(h11.EndOfMessage()))

    async def _send(self, data: bytes | None) -> None:
        if not data:
            return
        with trio.move_on_after(READ_SECONDS) as waiting:
            await self._stream.send_all(data)
        if waiting.cancelled_caught:
            raise ClientProtocolError("a client did not read its response")

    async def _linger(self) -> None:
        """Wait for the client to hang up: if we did first, it might not get what it was sent."""
        with trio.move_on_after(LINGER_SECONDS):
            await self._stream.send_eof()
            while await self._stream.receive_some(_CHUNK_BYTES):
                pass


def _written(head: h11.Request) -> bytes:
    """Write a head again, for who reads it next."""
    lines = [b"%s: %s\r\n" % header for header in head.headers.raw_items()]
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (head.method, head.target, b"".join(lines))
