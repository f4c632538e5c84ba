"""HTTP clients on raw connections: they may say anything, and see each byte that comes back."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import msgspec
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from proxy.endpoints.routes import Request, Response, Route, WebSocketRoute, json_response
from proxy.endpoints.unix_front import UnixFront
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

    @property
    def error(self) -> tuple[str, str]:
        """What Jupyter's clients read of an error: its message and its reason."""
        error = msgspec.json.decode(self.body, type=dict[str, str])
        assert set(error) == {"message", "reason"}
        return error["message"], error["reason"]


class HttpClient:
    """One connection."""

    def __init__(self, port: int, stream: trio.abc.Stream) -> None:
        self.port = port
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def get(self, target: str, *, method: str = "GET", **headers: str) -> Answer:
        """Ask with the token, unless told otherwise; read the answer."""
        return await self.ask(method, target, **headers)

    async def ask(
        self, method: str, target: str, body: bytes | list[bytes] = b"", **headers: str
    ) -> Answer:
        """Ask with a body, or one in chunks; read the answer."""
        await self.say(self.question(method, target, body, **headers))
        return await self.answer()

    def question(
        self, method: str, target: str, body: bytes | list[bytes] = b"", **headers: str
    ) -> bytes:
        """Write a request."""
        fields = {"host": f"127.0.0.1:{self.port}", "authorization": f"token {TOKEN}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, list):
            fields["transfer-encoding"] = "chunked"
        elif body:
            fields.setdefault("content-length", str(len(body)))
        pairs = [(name, value) for name, value in fields.items() if value]
        request = h11.Request(method=method, target=target, headers=pairs)
        parts = [h11.Data(part) for part in (body if isinstance(body, list) else [body])]
        events = [request, *parts, h11.EndOfMessage()]
        return b"".join(self._http.send(event) or b"" for event in events)

    async def say(self, data: bytes) -> None:
        """Send anything."""
        await self.stream.send_all(data)

    async def answer(self) -> Answer:
        """Read one answer. What the server says in between is passed over."""
        status, headers, body = 0, {}, bytearray()
        if self._http.our_state is h11.IDLE:  # something was said that h11 knows nothing of
            self._http.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
            self._http.send(h11.EndOfMessage())
        with trio.fail_after(DEADLINE_SECONDS):
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(bytes(await self.stream.receive_some(65536)))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                    headers = {name.decode(): value.decode() for name, value in event.headers}
                elif isinstance(event, h11.Data):
                    body += event.data
                elif not isinstance(event, h11.InformationalResponse):
                    break
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Answer(status, headers, bytes(body))

    async def hear(self, until: bytes) -> bytes:
        """Read raw bytes until these come."""
        heard = b""
        with trio.fail_after(DEADLINE_SECONDS):
            while until not in heard:
                received = bytes(await self.stream.receive_some(65536))
                assert received, f"hung up after {heard!r}"
                heard += received
        return heard

    async def become_a_websocket(self, target: str = "/talk?token=secret") -> bytes:
        """Shake hands by hand; return what came back."""
        await self.say(
            b"GET %s HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
            b"upgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % target.encode()
        )
        received = await self.hear(b"\r\n\r\n")
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
    """A front with a table of a test's own, and what it reported.

    On a port, or on a Unix socket where ``path`` is given. ``trust`` is what a client trusts where
    the port has TLS.
    """

    def __init__(
        self,
        *routes: Route | WebSocketRoute,
        path: Path | None = None,
        trust: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self.rejections: Inbox[ClientProtocolError] = Inbox()
        self.failures: Inbox[Exception] = Inbox()
        self.trust = trust
        self.front: Any = (
            WebFront(routes, self, token=TOKEN, **options)
            if path is None
            else UnixFront(routes, self, path=path, **options)
        )

    def rejected(self, error: ClientProtocolError) -> None:
        self.rejections.put(error)

    def failed(self, error: Exception) -> None:
        self.failures.put(error)

    async def connect(self) -> HttpClient:
        """Connect. It is the caller's to close."""
        if isinstance(self.front, UnixFront):
            return HttpClient(0, await trio.open_unix_socket(str(self.front.path)))
        stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", self.front.port)
        if self.trust is not None:
            stream = trio.SSLStream(
                stream, self.trust, server_hostname="127.0.0.1", https_compatible=True
            )
        return HttpClient(self.front.port, stream)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[HttpClient]:
        """Connect, and hang up in the end."""
        client = await self.connect()
        async with client.stream:
            yield client

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.front.port}/talk?token={TOKEN}"


@asynccontextmanager
async def open_websocket(
    url: str, trust: ssl.SSLContext | None = None
) -> AsyncIterator[WebSocketConnection]:
    """Connect as a good client does."""
    async with open_websocket_url(url, trust) as client:
        try:
            yield client
        finally:  # trio-websocket's client leaves it open where the server closed
            await trio.aclose_forcefully(client._stream)


OpenFront = Callable[..., AbstractAsyncContextManager[WebScene]]


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


async def repeat(request: Request) -> Response:
    """A page that says what the request brought along."""
    return Response(body=request.body)


async def describe(request: Request) -> Response:
    """A page that says how its request was understood."""
    found = {"method": request.method, "bytes": len(request.body), "pid": request.peer_pid}
    return json_response(found)


async def echo(request: Request, socket: WebSocket) -> None:
    """Say everything again."""
    while True:
        await socket.send(await socket.receive())


GREET = Route(method="GET", path="/hello/{name}", answer=greet)
REPEAT = Route(method="POST", path="/repeat", answer=repeat)
ECHO = WebSocketRoute(path="/talk", talk=echo, max_message_bytes=100_000)
