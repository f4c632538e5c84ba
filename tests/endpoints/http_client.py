"""HTTP clients on raw connections: they may say anything, and see each byte that comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import h11
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from proxy.endpoints.routes import Request, Response, Route, WebSocketRoute
from proxy.endpoints.web import WebFront
from proxy.endpoints.websocket import WebSocket
from proxy.errors import ClientProtocolError
from tests.inbox import DEADLINE_SECONDS, Inbox

TOKEN = "secret"


@dataclass
class Answer:
    """A response as a client has it."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """One connection."""

    def __init__(self, port: int, stream: trio.SocketStream) -> None:
        self.port = port
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def get(self, target: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask with the token, unless told otherwise; read the answer."""
        fields = {"host": f"127.0.0.1:{self.port}", "authorization": f"token {TOKEN}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        pairs = [(name, value) for name, value in fields.items() if value]
        request = h11.Request(method=method, target=target, headers=pairs)
        await self.say(
            (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        )
        return await self.answer()

    async def say(self, data: bytes) -> None:
        """Send anything."""
        await self.stream.send_all(data)

    async def answer(self) -> Answer:
        """Read one answer."""
        status, headers, body = 0, {}, b""
        if self._http.our_state is h11.IDLE:  # something was said that h11 knows nothing of
            self._http.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
            self._http.send(h11.EndOfMessage())
        with trio.fail_after(DEADLINE_SECONDS):
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self.stream.receive_some(65536))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                else:
                    break
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Answer(status, headers, body)

    async def become_a_websocket(self, target: str = "/talk?token=secret") -> bytes:
        """Shake hands by hand; return what came back."""
        await self.say(
            b"GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
            b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % target.encode()
        )
        received = b""
        with trio.fail_after(DEADLINE_SECONDS):
            while b"\r\n\r\n" not in received:
                received += await self.stream.receive_some(1000)
        assert received.startswith(b"HTTP/1.1 101 ")
        return received

    async def is_hung_up(self) -> bool:
        """Whether the server closes the connection now, or soon."""
        with trio.fail_after(DEADLINE_SECONDS):
            try:
                while await self.stream.receive_some(65536):
                    pass
            except trio.BrokenResourceError:
                pass
        return True


class WebScene:
    """A front with a table of a test's own, and what it reported."""

    def __init__(self, *routes: Route | WebSocketRoute, **options: Any) -> None:
        self.rejections: Inbox[ClientProtocolError] = Inbox()
        self.failures: Inbox[Exception] = Inbox()
        self.front = WebFront(routes, self, token=TOKEN, **options)

    def rejected(self, error: ClientProtocolError) -> None:
        self.rejections.put(error)

    def failed(self, error: Exception) -> None:
        self.failures.put(error)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[HttpClient]:
        """Connect."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.front.port)
        async with stream:
            yield HttpClient(self.front.port, stream)

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.front.port}/talk?token={TOKEN}"


@asynccontextmanager
async def open_websocket(url: str) -> AsyncIterator[WebSocketConnection]:
    """Connect as a good client does."""
    async with open_websocket_url(url) as client:
        try:
            yield client
        finally:  # trio-websocket's client leaves it open where the server closed
            await trio.aclose_forcefully(client._stream)


@asynccontextmanager
async def open_front(*routes: Route | WebSocketRoute, **options: Any) -> AsyncIterator[WebScene]:
    """Serve while the context lasts."""
    scene = WebScene(*routes, **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.front.serve)
        yield scene
        nursery.cancel_scope.cancel()


async def greet(request: Request) -> Response:
    """A page that says who asked for it."""
    return Response(body=f"hello {request.places.get('name')}".encode())


async def echo(request: Request, socket: WebSocket) -> None:
    """Say everything again."""
    while True:
        await socket.send(await socket.receive())


GREET = Route(method="GET", path="/hello/{name}", answer=greet)
ECHO = WebSocketRoute(path="/talk", talk=echo, max_message_bytes=100_000)
