"""Frontends on WebSockets: one connection each, and what each missed while it had none.

Theory. A client says who it is (``session_id``) and may come back, for which everything that it is
sent is in one row (``backlog.py``) with its place in it: what it has taken in is behind its place,
what is on its way or was never sent is before it. So whoever connects again goes on from there: it
gets what it missed, in order, once. Where a connection breaks off without a word, nobody knows of
the last milliseconds what has arrived: that comes again.

Of two connections under one name the one counts on which something was said last: the other one may
be dead and not know it. It is closed, if it has ever said anything. jupyter_server's gateway client
opens two for each attachment, of which either may come first, and never reads one of them; that one
says nothing, so what it was sent counts as unread, and it is not closed, or it would be opened
again. Where nothing was said on either, the later one counts.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import trio

from proxy.endpoints.backlog import Backlog, Entry
from proxy.endpoints.sink import EndpointSink
from proxy.endpoints.web_connection import WebConnection, text
from proxy.endpoints.websocket import RESTARTS, WebSocket
from proxy.errors import ClientProtocolError
from proxy.message import Channel, ClientId, Message, comes_back
from proxy.sockets import Unreachable
from proxy.wire import websocket_frames

MAX_LAG_BYTES = 32 * 1024 * 1024
"""Who is further behind is closed, and gets the rest by coming back."""
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Of what clients miss that are away, or were closed; past it, the one that is furthest behind has
missed it for good."""
MAX_BATCH_BYTES = 1024 * 1024
"""What is handed to a connection in one go."""
MAX_AWAY = 100
MAX_SESSION_ID = 128
MUTE_SECONDS = 10.0
"""How long a connection on which nothing was said may turn out to be one that nobody reads."""
CALM_SECONDS = 0.25
"""How long a client that connects anew may take to say what has arrived before."""
LOOK_SECONDS = 0.005
TRIM_BYTES = 1024 * 1024
"""After so much it is looked what nobody needs any more."""

WENT_AWAY = 1001
"""A browser has left the page (RFC 6455, 7.4.1): nobody comes back under this name."""
GO_ON_ELSEWHERE = (RESTARTS, "kmux is being restarted; connect again")
TOO_SLOW = (1013, "this client lags behind; connect again for the rest")
REPLACED = (1000, "this session has another connection by now")


class _Client:
    """Who has connected under one name, and its place in the row while it is away."""

    def __init__(self, client_id: ClientId, place: int) -> None:
        self.id = client_id
        self.way = ""
        """By which of the session's addresses it came last."""
        self.away_since: float | None = None
        self.lacks_buffers = False
        """Whether it was told of something without its buffers."""
        self.connection: WebConnection | None = None
        self._place = place

    @property
    def place(self) -> int:
        """Behind what has arrived."""
        return self._place if self.connection is None else self.connection.place()

    @place.setter
    def place(self, place: int) -> None:
        self._place = place


class WebClients:
    """The WebSockets of one session, or those of them that may only look.

    An :class:`Endpoint`. ``tag`` is the first frame of its clients' ids.
    """

    replays = False
    ports: Mapping[str, int] = {}

    def __init__(
        self,
        sink: EndpointSink,
        tag: bytes = b"web",
        *,
        read_only: bool = False,
        away_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``away_seconds`` is how long is kept what a client misses."""
        self.tag = tag
        self.read_only = read_only
        self._sink = sink
        self._away_seconds = away_seconds
        self._clock = clock
        self._backlog = Backlog()
        self._clients: dict[ClientId, _Client] = {}
        self._connections: dict[WebConnection, _Client] = {}
        self._newest: _Client | None = None
        self._hushed = False
        self._trim_at = TRIM_BYTES

    # What the session says

    def send(self, client: ClientId, channel: Channel, message: Message) -> None:
        """Send to one frontend, now or when it is back. Raises :class:`Unreachable`."""
        known = self._clients.get(client)
        if known is None:
            raise Unreachable("nobody is connected under this name")
        self._append(channel, message, known)

    def publish(self, message: Message, but: frozenset[ClientId] = frozenset()) -> None:
        """Publish on iopub to all frontends but these."""
        if but:
            for client in tuple(self._clients.values()):
                if client.id not in but:
                    self._append(Channel.IOPUB, message, client)
        elif self._clients:
            self._append(Channel.IOPUB, message)

    def by(self, way: str) -> frozenset[ClientId]:
        """Return the clients that came by this one of a session's addresses."""
        return frozenset(client.id for client in self._clients.values() if client.way == way)

    def send_to_newest(self, message: Message) -> None:
        """Send on iopub to the one that :meth:`EndpointSink.subscribed` is called for."""
        if self._newest is not None:
            self._append(Channel.IOPUB, message, self._newest)

    def _append(self, channel: Channel, message: Message, client: _Client | None = None) -> None:
        self._backlog.append(channel, message, client.id if client is not None else None)
        if client is not None:
            if client.connection is not None:
                client.connection.wake()
        else:
            for each in self._clients.values():
                if each.connection is not None:
                    each.connection.wake()
        if self._backlog.total_bytes > self._trim_at:
            self._trim_at = self._backlog.total_bytes + TRIM_BYTES
            self._bound()

    def _bound(self) -> None:
        """Close whoever is too far behind, and forget what nobody needs."""
        self.trim()
        for client in self._clients.values():
            connection = client.connection
            if connection is None:
                continue
            if self._backlog.bytes_from(connection.socket.arrivals.reached) > MAX_LAG_BYTES:
                connection.say_goodbye(TOO_SLOW)
        while self._backlog.bytes_from(self._backlog.first) > MAX_KEPT_BYTES:
            last = min(self._clients.values(), key=lambda client: client.place)
            connection = last.connection
            if connection is not None and connection.socket.arrivals.reached > last.place:
                connection.is_read = True  # we cannot wait until that is known
            else:
                self._forget(last)
            self.trim()

    def _forget(self, client: _Client) -> None:
        """Let a client have missed something for good. When it comes back, it is a new one."""
        del self._clients[client.id]
        if client.connection is not None:  # it is being closed, and is not yet
            client.connection.is_silent = True
            client.connection = None
            self._sink.client_left(client.id)

    def trim(self) -> None:
        """Forget what no client needs any more, and clients that have been away for too long."""
        now = self._clock()
        for client in tuple(self._clients.values()):
            since = client.away_since
            if since is not None and now - since > self._away_seconds:
                del self._clients[client.id]
        places = (client.place for client in self._clients.values())
        self._backlog.drop_before(min(places, default=self._backlog.end))

    # What clients say

    async def serve(self, socket: WebSocket, session_id: str | None, way: str = "") -> None:
        """Have a client talk until it leaves. Without a name it cannot come back.

        Raises :class:`ClientProtocolError` for a name that is none, and what
        :func:`websocket.serve` expects.
        """
        connection, client = self._connected(socket, self._id_of(session_id))
        client.way = way
        try:
            async with trio.open_nursery() as nursery:
                frames = partial(self._next, client, connection)
                nursery.start_soon(connection.write, frames, nursery.cancel_scope)
                while True:
                    payload = await socket.receive_any()
                    if client.connection is not connection and connection.goodbye is None:
                        await self._calm(client)
                        self._count(client, connection)
                    connection.is_read = True
                    self._received(client.id, payload)
        finally:
            del self._connections[connection]
            self._disconnected(client, connection)

    def _id_of(self, session_id: str | None) -> ClientId:
        if session_id is None:
            return ClientId((self.tag, b"\x00" + secrets.token_bytes(8)))
        name = session_id.encode()
        if not 0 < len(name) <= MAX_SESSION_ID or not session_id.isprintable():
            raise ClientProtocolError("session_id is a name of up to 128 characters")
        return ClientId((self.tag, name))

    async def _calm(self, client: _Client) -> None:
        """Send nothing more to a client on the connection that it has, and wait until it has said
        what of it has arrived, or goodbye."""
        if client.connection is None or not client.connection.is_read:
            return
        client.connection.is_silent = True
        with trio.move_on_after(CALM_SECONDS):
            while client.connection and client.connection.socket.arrivals.is_under_way:  # noqa: ASYNC110
                await trio.sleep(LOOK_SECONDS)

    def _connected(self, socket: WebSocket, client_id: ClientId) -> tuple[WebConnection, _Client]:
        self.trim()
        client = self._clients.get(client_id)
        is_new = client is None
        if client is None:
            client = self._clients[client_id] = _Client(client_id, self._backlog.end)
        old = client.connection
        until = self._clock() + MUTE_SECONDS
        connection = WebConnection(socket, lambda: self._clock() < until)
        self._connections[connection] = client
        if old is None or not old.is_read:
            self._count(client, connection)
        if old is None:
            self._sink.client_returned(client_id, owner=False, missed_nothing=not is_new)
        if is_new:
            self._newest = client
            self._sink.subscribed(self.tag)
            self._newest = None
        return connection, client

    def _count(self, client: _Client, connection: WebConnection) -> None:
        """From now on it is this connection that counts, of a client that is known."""
        old = client.connection
        if old is connection or self._clients.get(client.id) is not client:
            return
        if old is not None:
            old.is_silent = True
            client.connection, client.place = None, old.place()
            if old.is_read:
                old.say_goodbye(REPLACED)
        client.away_since = None
        connection.count_from(client.place)
        client.connection = connection

    def _received(self, client: ClientId, payload: bytes | str) -> None:
        try:
            if isinstance(payload, bytes) and payload[:1] != b"{":
                channel, message = websocket_frames.decode_v1(payload)
            else:
                channel, message = websocket_frames.decode_legacy(payload)
        except ClientProtocolError as error:
            self._sink.rejected(Channel.SHELL, error)
            return
        self._sink.client_sent(client, channel, message)

    def _disconnected(self, client: _Client, connection: WebConnection) -> None:
        if client.connection is not connection:
            return
        socket = connection.socket
        if connection.goodbye is not None:
            place = socket.arrivals.end_here()
        else:
            place = socket.arrivals.at_the_end(socket.close_code, at_rest=connection.is_at_rest)
        client.connection, client.place = None, place
        for other, whose in self._connections.items():
            if whose is client and other.start is None:  # it waits for this
                self._count(client, other)
                return
        client.away_since = self._clock()
        if not comes_back(client.id) or connection.socket.close_code == WENT_AWAY:
            self._clients.pop(client.id, None)
        away = [each for each in self._clients.values() if each.connection is None]
        if len(away) > MAX_AWAY:
            del self._clients[min(away, key=lambda each: each.away_since or 0.0).id]
        self.trim()
        if not self._hushed:
            self._sink.client_left(client.id)

    def _next(self, client: _Client, connection: WebConnection) -> list[tuple[bytes, int]]:
        """Make the next frames for a client, each with the place behind it."""
        frames: list[tuple[bytes, int]] = []
        size = 0
        connection.next = max(connection.next, self._backlog.first)
        for entry, place in self._backlog.entries_for(client.id, connection.next):
            frames.append((entry.frame(connection.encode), place))
            if entry.message.buffers and connection.encode is text and not client.lacks_buffers:
                client.lacks_buffers = True
                self._sink.buffers_left_out(client.id)
            connection.latest = entry.message
            size += len(frames[-1][0])
            if size > MAX_BATCH_BYTES:
                break
        return frames

    # The end

    @property
    def is_connected(self) -> bool:
        """Whether a client is that says something."""
        return any(not connection.is_silent for connection in self._connections)

    def hush(self) -> None:
        """Say nothing more to single clients; what they lack is what :attr:`missed` has."""
        self._hushed = True

    def hang_up(self) -> None:
        """Have all clients connect again, to the next kmux."""
        for connection in self._connections:
            connection.say_goodbye(GO_ON_ELSEWHERE)

    def close(self, linger_ms: int = 0) -> None:
        """Say goodbye to all."""
        self.hang_up()

    def names(self) -> list[ClientId]:
        """Return who may come back."""
        return [client for client in self._clients if comes_back(client)]

    def missed(self) -> tuple[list[Entry], dict[ClientId, int]]:
        """Return what clients have not got yet, and where in that row each one is, for the next
        kmux."""
        for client in self._clients.values():
            if client.connection is not None:
                place = client.connection.socket.arrivals.end_here()
                client.connection, client.place = None, place
        self.trim()
        first, end = self._backlog.first, self._backlog.end
        entries = [self._backlog.at(place) for place in range(first, end)]
        places = {
            client.id: client.place - first
            for client in self._clients.values()
            if comes_back(client.id)
        }
        return entries, places

    def resume(
        self,
        entries: Iterable[tuple[Channel, Message, ClientId | None]],
        places: Mapping[ClientId, int],
    ) -> None:
        """Go on where another kmux has ended, before anything is published."""
        now = self._clock()
        for client_id, place in places.items():
            client = self._clients[client_id] = _Client(client_id, place)
            client.away_since = now
        for channel, message, for_whom in entries:
            self._backlog.append(channel, message, for_whom)
