"""One HTTP connection, from its first request to its last. It knows a stream, and no sockets.

A request's way: its head is read; :class:`Admission` lets it in or not; the table (:class:`Routes`)
has who answers, and how large a body that takes; the body is read; the response is written, and the
next request is read. Or the connection becomes a WebSocket and stays one.

Whatever a client does wrong is answered where it can be, and ends its connection. What goes wrong
here is answered too, and the connection goes on. A client that hangs up ends a stream of pieces,
but disturbs nobody who is about to answer: what it asked for is done as a whole.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import h11
import msgspec
import trio

from proxy.endpoints.admission import Admission
from proxy.endpoints.failures import innermost, is_ours, response_to
from proxy.endpoints.http_requests import MAX_HEAD_BYTES, RequestReader
from proxy.endpoints.http_responses import HungUp, ResponseWriter
from proxy.endpoints.routes import (
    Request,
    Response,
    Route,
    Routes,
    WebSocketRoute,
    refusal,
    request_of,
)
from proxy.errors import ClientProtocolError


class WebSink(Protocol):
    """What is reported. Called between two requests; must neither block nor raise."""

    def rejected(self, error: ClientProtocolError) -> None:
        """A client did something wrong, and was hung up on."""

    def failed(self, error: Exception) -> None:
        """Who answers a request, or talks on a WebSocket, raised."""


class _Asked(msgspec.Struct, frozen=True):
    """A request, and what is to be done about it."""

    head: h11.Request
    request: Request
    route: Route | WebSocketRoute | Response
    """Who answers, or the answer."""


class HttpConnection:
    """One connection. Without an admission, whoever could connect may ask for everything."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        routes: Routes,
        sink: WebSink,
        admission: Admission | None,
        peer_pid: int | None = None,
    ) -> None:
        self._stream = stream
        self._routes = routes
        self._sink = sink
        self._admission = admission
        self._peer_pid = peer_pid
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._writer = ResponseWriter(stream, self._http)
        self._reader = RequestReader(stream, self._http, self._writer.send)
        self._is_head = False
        """Whether the request is answered without a body."""

    async def serve(self) -> None:
        """Answer requests until either side has enough.

        Raises :class:`ClientProtocolError`, what those raise who talk on a WebSocket or make a
        response's pieces, and :class:`trio.BrokenResourceError` where the client broke off.
        """
        while True:
            try:
                asked = await self._next_request()
            except ClientProtocolError as error:
                await self.refuse(response_to(error))
                raise
            if asked is None:
                return
            if isinstance(asked.route, WebSocketRoute):
                from proxy.endpoints import websocket

                read = _written(asked.head) + self._http.trailing_data[0]
                talk = partial(asked.route.talk, asked.request)
                route = asked.route
                await websocket.serve(
                    self._stream, read, talk, route.max_message_bytes, route.subprotocols
                )
                return
            try:
                await self._answer(asked.request, asked.route)
            except HungUp:
                return
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._writer.linger()
                return
            self._http.start_next_cycle()

    async def refuse(self, response: Response) -> None:
        """Answer whatever came, or is to come, and hang up."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._writer.respond(response, is_head=self._is_head, is_last=True)
            await self._writer.linger()

    async def _next_request(self) -> _Asked | None:
        """Read a request, its body included where somebody takes it. None where there is none."""
        self._is_head = False
        head = await self._reader.next_head()
        if head is None:
            return None
        self._is_head = head.method == b"HEAD"
        request = msgspec.structs.replace(request_of(head), peer_pid=self._peer_pid)
        if self._admission is not None and self._admission.may_only_look(request):
            request = msgspec.structs.replace(request, read_only=True)
        found = self._find(request)
        if isinstance(found, Response):
            return _Asked(head, request, found)
        route, places = found
        request = msgspec.structs.replace(request, places=places)
        if isinstance(route, WebSocketRoute) and (no := route.admit(request)) is not None:
            return _Asked(head, request, no)
        body = b""
        if isinstance(route, Route):
            body = await self._reader.read_body(head, route.body_bytes)
        return _Asked(head, msgspec.structs.replace(request, body=body), route)

    def _find(self, request: Request) -> tuple[Route | WebSocketRoute, dict[str, str]] | Response:
        """Return who answers a request, or the answer."""
        found = self._routes.find(request)
        route = None if isinstance(found, Response) else found[0]
        if self._admission is not None:
            is_public = isinstance(route, Route) and route.is_public
            answer = self._admission.preflight_of(request) or self._admission.refusal_of(
                request, is_public=is_public
            )
            if answer is not None:
                return answer
        if isinstance(route, WebSocketRoute):
            from proxy.endpoints import websocket  # a tenth of a second: most have no use for it

            if self._reader.has_more:
                return refusal(400, "a WebSocket's handshake has no body")
            return websocket.why_no_websocket(request) or found
        if isinstance(found, Response) or not request.read_only:
            return found
        may_not = isinstance(route, Route) and route.changes
        return refusal(403, "this token may look, and not touch") if may_not else found

    async def _answer(self, request: Request, by: Route | Response) -> None:
        """Let somebody answer, and write what they say. What they raise is an answer too."""
        response = by if isinstance(by, Response) else await self._ask(by, request)
        await self._writer.respond(
            response,
            is_head=self._is_head,
            is_last=self._reader.has_more,
            reader=self._admission.reader_of(request) if self._admission is not None else None,
        )

    async def _ask(self, route: Route, request: Request) -> Response:
        try:
            return await route.answer(request)
        except Exception as error:
            cause = innermost(error)
            if is_ours(cause):
                self._sink.failed(cause)
            return response_to(cause)


def _written(head: h11.Request) -> bytes:
    """Write a head again, for who reads it next."""
    lines = [b"%s: %s\r\n" % header for header in head.headers.raw_items()]
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (head.method, head.target, b"".join(lines))
