"""WebSocket clients of a session on a real port, all in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import trio
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from trio_websocket import ConnectionClosed, WebSocketConnection, connect_websocket_url
from wsproto.connection import ConnectionState
from wsproto.events import Ping

from proxy.endpoints.routes import Request, WebSocketRoute
from proxy.endpoints.web_clients import WebClients
from proxy.endpoints.websocket import WebSocket
from proxy.message import Channel, ClientId, Message
from proxy.wire.websocket_frames import V1
from tests.endpoints.http_client import TOKEN, WebScene, open_front
from tests.endpoints.scene import TAG, Recorder, Report
from tests.inbox import DEADLINE_SECONDS, Inbox, eventually


class _Connection(WebSocketConnection):
    """trio-websocket's client breaks off where it is sent a ping while it says goodbye (0.12)."""

    async def _handle_ping_event(self, event: Ping) -> None:
        if self._wsproto.state is not ConnectionState.LOCAL_CLOSING:
            await super()._handle_ping_event(event)


class WebRecorder(Recorder):
    """A sink whose newcomers are welcomed by WebSocket."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: WebClients | None = None

    def subscribed(self, endpoint: bytes) -> None:
        assert endpoint == TAG
        assert self.clients is not None
        self.welcomed += 1
        for message in self.welcome(self.welcomed):
            self.clients.send_to_newest(message)
        self.reports.put(Report("subscribed"))


class Tab:
    """A client, on one connection."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self.heard: Inbox[tuple[str, dict[str, Any]]] = Inbox()
        """Channel, and the message's parts by name."""
        self.characters = 0
        """Of all texts."""
        self.closed = trio.Event()

    @property
    def close_code(self) -> int | None:
        reason = self.connection.closed
        return reason.code if reason is not None else None

    async def read(self) -> None:
        """Read whatever comes."""
        while True:
            try:
                payload = await self.connection.get_message()
            except ConnectionClosed:
                self.closed.set()
                return
            channel, message = self.parsed(payload)
            self.characters += len(message["content"].get("text", ""))
            self.heard.put((channel, message))

    @staticmethod
    def parsed(payload: bytes | str) -> tuple[str, dict[str, Any]]:
        if isinstance(payload, str):
            message = json.loads(payload)
            return message["channel"], message
        channel, parts = deserialize_msg_from_ws_v1(payload)
        names = ("header", "parent_header", "metadata", "content")
        message = dict(zip(names, map(json.loads, parts), strict=False))
        return channel, {**message, "buffers": parts[4:]}

    async def say(self, message: Message, channel: Channel = Channel.SHELL) -> None:
        parts = [message.raw_header, message.raw_parent, message.raw_metadata, message.raw_content]
        payload = serialize_msg_to_ws_v1([*map(bytes, parts), *message.buffers], str(channel))
        await self.connection.send_message(payload)

    def texts(self) -> list[str]:
        """What it was told, in order; greetings aside."""
        contents = (message["content"] for _, message in self.heard.items)
        return [content["text"] for content in contents if "text" in content]

    async def hears(self, *texts: str) -> None:
        """Wait until it has been told as much, and look whether that is it."""
        await self.has(len("".join(texts)))
        assert self.texts() == list(texts) or "".join(self.texts()) == "".join(texts), self.texts()

    async def has(self, characters: int) -> None:
        """Wait until it has been told so much."""
        await self.heard.until(lambda _: self.characters >= characters)

    async def hang_up(self, code: int = 1000) -> None:
        """Close, as a client does that is closed."""
        with trio.move_on_after(DEADLINE_SECONDS):
            await self.connection.aclose(code)

    async def break_off(self) -> None:
        """Be gone without a word."""
        await trio.aclose_forcefully(self.connection._stream)


class ClientsScene:
    """A session's WebSocket clients, and whoever connects."""

    def __init__(self, front: WebScene, nursery: trio.Nursery, sink: WebRecorder) -> None:
        self.front = front
        self.sink = sink
        self._nursery = nursery
        self._tabs: list[Tab] = []

    @property
    def clients(self) -> WebClients:
        assert self.sink.clients is not None
        return self.sink.clients

    async def tab(
        self, session_id: str | None = "alice", *, reads: bool = True, v1: bool = True
    ) -> Tab:
        """Connect."""
        url = f"ws://127.0.0.1:{self.front.front.port}/talk?token={TOKEN}"
        if session_id is not None:
            url += f"&session_id={session_id}"
        with patch("trio_websocket._impl.WebSocketConnection", _Connection):
            connection = await connect_websocket_url(
                self._nursery, url, subprotocols=[V1] if v1 else None, message_queue_size=0
            )
        tab = Tab(connection)
        self._tabs.append(tab)
        if reads:
            self._nursery.start_soon(tab.read)
        return tab

    def whose(self, session_id: str) -> ClientId:
        return ClientId((TAG, session_id.encode()))

    async def arrived(self) -> None:
        """Wait until clients have said that they have taken in all that they were sent."""
        connections = self.clients._connections
        await eventually(
            lambda: all(each.socket.arrivals.reached == each.next for each in connections)
        )

    async def gone(self, count: int = 1) -> None:
        """Wait until so many have left in all."""
        await self.sink.until("left", count)

    async def close(self) -> None:
        for tab in self._tabs:
            await trio.aclose_forcefully(tab.connection._stream)


@asynccontextmanager
async def open_clients(**options: Any) -> AsyncIterator[ClientsScene]:
    """Have a session's clients come while the context lasts."""
    sink = WebRecorder()
    sink.clients = WebClients(sink, TAG, **options)

    async def talk(request: Request, socket: WebSocket) -> None:
        assert sink.clients is not None
        await sink.clients.serve(socket, request.query.get("session_id"))

    route = WebSocketRoute(path="/talk", talk=talk, subprotocols=(V1,), max_message_bytes=1_000_000)
    async with open_front(route) as front, trio.open_nursery() as nursery:
        scene = ClientsScene(front, nursery, sink)
        yield scene
        await scene.close()
        await eventually(lambda: front.front.connections == 0)
        nursery.cancel_scope.cancel()
