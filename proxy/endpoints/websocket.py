"""One WebSocket: an upgrade that the front has read, spoken on by trio-websocket.

trio-websocket (0.12) waits for ever where a handshake is no good, and lets some errors of the peer
fall into the nursery that it reads in. So the handshake is checked before it gets it
(:func:`why_no_websocket`), and each connection has a nursery of its own, in which whatever is
raised while reading is the peer's fault. What it does not tell a peer that breaks the protocol, and
does not count of a message in pieces, is made good in :class:`_Connection`.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.utilities import LocalProtocolError

from proxy.endpoints.arrivals import Arrivals
from proxy.endpoints.counted_stream import CountedStream
from proxy.endpoints.routes import Request, Response, refusal
from proxy.errors import ClientProtocolError

HANDSHAKE_SECONDS = 5.0
PING_SECONDS = 15.0
PONG_SECONDS = 45.0
"""Who does not answer a ping for so long is gone. It also ends a connection on which nothing was
read for that time: the ping waits behind what was sent before."""
CLOSE_SECONDS = 2.0
"""How long is waited for the answer to a goodbye."""
GOODBYE_SECONDS = 0.1
"""How long everything is held up by a goodbye when everything ends."""
RESTARTS = 1012
"""What is said then: connect again. JupyterLab (services 7.6) does not where it is told that
somebody goes away (1001)."""
MAX_REASON_BYTES = 100
"""Of a close frame, which has 125."""
LINGER_SECONDS = 1.0
"""How long who broke the protocol may go on sending what nobody reads, so that it reads why."""
PIECE_BYTES = 100
"""What a piece of a message takes at least, though it may have no bytes at all."""

SMALL_BYTES = 64 * 1024
"""Frames up to this size are copied together, to be sent in one go."""
MAX_PIECE_BYTES = 1024 * 1024
_BINARY, _TEXT = 0x82, 0x81  # RFC 6455, 5.2: the only fragment of a message


class _Connection(WebSocketConnection):
    """trio-websocket's, with what it lacks."""

    broken: CloseConnection | None = None
    """How the other side has broken the protocol, and what it was told."""

    async def _handle_close_connection_event(self, event: CloseConnection) -> None:
        """Tell it so (RFC 6455, 7.1.7), where this is not its own goodbye."""
        if self._wsproto.state is ConnectionState.OPEN:
            self.broken = event
            await self._send(CloseConnection(code=event.code, reason=_short(event.reason or "")))
            with trio.move_on_after(LINGER_SECONDS):
                while await self._stream.receive_some():
                    pass
        await super()._handle_close_connection_event(event)

    async def _handle_message_event(self, event: BytesMessage | TextMessage) -> None:
        """Count a piece as what it takes: else an endless message of empty ones has no bound."""
        if not event.message_finished:
            self._message_size += max(PIECE_BYTES - len(event.data), 0)
        await super()._handle_message_event(event)


class WebSocketGone(Exception):
    """The other side has closed it, or broke off."""


class WebSocket:
    """An open WebSocket. Made by :func:`serve`."""

    def __init__(self, connection: WebSocketConnection, stream: CountedStream) -> None:
        self._connection = connection
        self._stream = stream
        self.arrivals = Arrivals(stream, connection._pings)

    @property
    def subprotocol(self) -> str | None:
        """What was chosen."""
        return self._connection.subprotocol

    @property
    def close_code(self) -> int | None:
        """What the other side said when it closed; None where it has not."""
        reason = self._connection.closed
        return reason.code if reason is not None else None

    async def receive(self) -> bytes:
        """Wait for a message. If cancelled, none is lost.

        Raises :class:`WebSocketGone`; :class:`ClientProtocolError` where it is a text.
        """
        message = await self.receive_any()
        if isinstance(message, str):
            raise ClientProtocolError("a text, where all messages are binary")
        return message

    async def receive_any(self) -> bytes | str:
        """Wait for a message of either kind. If cancelled, none is lost.

        Raises :class:`WebSocketGone`.
        """
        try:
            return await self._connection.get_message()
        except ConnectionClosed:
            raise WebSocketGone from None

    async def send_frames(
        self, frames: Sequence[tuple[bytes, int]], *, at_rest: bool = False
    ) -> None:
        """Send frames that :func:`frame` has made, in one go as far as they are small.

        Each has a mark, by which :attr:`arrivals` tells what has arrived; ``at_rest`` is whether
        nothing more comes for now. Raises :class:`WebSocketGone`.
        """
        await self._send(self.arrivals.with_questions(frames, at_rest=at_rest))

    async def ask(self) -> None:
        """Ask whether all has arrived, without waiting for the answer.

        Raises :class:`WebSocketGone`.
        """
        await self._send([(self.arrivals.question(), None)])

    async def _send(self, frames: list[tuple[bytes, int | None]]) -> None:
        if self._connection.closed is not None:
            raise WebSocketGone
        pieces = _in_pieces([each for each, _ in frames])
        try:
            await self._stream.send_in_order(pieces, lambda sent: self.arrivals.note(sent, frames))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise WebSocketGone from None

    async def send(self, message: bytes) -> None:
        """Send a message, and wait until the system has it. Only one task at a time may send.

        If cancelled, the message may be cut off, and the WebSocket is of no more use. Raises
        :class:`WebSocketGone`.
        """
        try:
            await self._connection.send_message(message)
        except ConnectionClosed:
            raise WebSocketGone from None

    async def say_goodbye(self, code: int, reason: str) -> None:
        """Say goodbye and no more. What the other side says until it answers is received, and then
        :class:`WebSocketGone` is raised; :meth:`close` would drop it."""
        with suppress(ConnectionClosed, LocalProtocolError):
            await self._connection._send(CloseConnection(code=code, reason=_short(reason)))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, and wait a little for the answer. The codes are those of RFC 6455, 7.4.1."""
        with trio.move_on_after(CLOSE_SECONDS):
            await self._connection.aclose(code, _short(reason))


def _short(reason: str) -> str | None:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore") or None


def frame(payload: bytes, *, text: bool = False) -> bytes:
    """Make a frame of a message. It is the same for all clients: a server masks nothing."""
    kind, length = _TEXT if text else _BINARY, len(payload)
    if length < 126:
        return struct.pack("!BB", kind, length) + payload
    if length < 65536:
        return struct.pack("!BBH", kind, 126, length) + payload
    return struct.pack("!BBQ", kind, 127, length) + payload


def _in_pieces(frames: list[bytes]) -> list[bytes]:
    """Put what is small together."""
    pieces: list[bytes] = []
    small: list[bytes] = []
    size = 0
    for each in frames:
        if len(each) > SMALL_BYTES or size > MAX_PIECE_BYTES:
            pieces.append(b"".join(small))
            small, size = [], 0
        if len(each) > SMALL_BYTES:
            pieces.append(each)
        else:
            small.append(each)
            size += len(each)
    pieces.append(b"".join(small))
    return [piece for piece in pieces if piece]


def why_no_websocket(request: Request) -> Response | None:
    """Check a handshake (RFC 6455, 4.2.1). Returns the refusal, or None where it is good."""
    if request.header(b"sec-websocket-version") != "13":
        wanted = ("Sec-WebSocket-Version", "13")
        return refusal(426, "this server speaks version 13 of WebSocket", wanted)
    try:
        key = base64.b64decode(request.header(b"sec-websocket-key") or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 16:
        return refusal(400, "a WebSocket's handshake has a key of 16 bytes")
    return None


async def serve(
    stream: trio.abc.Stream,
    head: bytes,
    talk: Callable[[WebSocket], Awaitable[None]],
    max_message_bytes: int,
    subprotocols: Sequence[str] = (),
) -> None:
    """Accept a WebSocket whose handshake ``head`` is, and talk on it until that returns.

    Of the subprotocols the first is chosen that the client offers.

    The stream is closed in the end, also when cancelled. ``talk`` may have a nursery: the first
    thing that is raised in it counts. Raises it, unless it is :class:`WebSocketGone`; and
    :class:`ClientProtocolError` where the client broke the protocol.
    """
    failure: Exception | None = None
    counted = CountedStream(head, stream)
    try:
        async with trio.open_nursery() as nursery:
            connection: WebSocketConnection | None = None
            try:
                with trio.fail_after(HANDSHAKE_SECONDS):
                    speaking = _Connection(
                        counted,
                        WSConnection(ConnectionType.SERVER),
                        max_message_size=max_message_bytes,
                    )
                    nursery.start_soon(speaking._reader_task)
                    request = await speaking._get_request()
                    chosen = _choose(subprotocols, request.proposed_subprotocols)
                    connection = await request.accept(subprotocol=chosen)
                nursery.start_soon(_keep_alive, connection, nursery.cancel_scope)
                failure = await _talk(talk, WebSocket(connection, counted))
                if failure is None and speaking.broken is not None:
                    why = speaking.broken.reason
                    failure = ClientProtocolError(f"a WebSocket's client broke the protocol: {why}")
            finally:
                if connection is not None:
                    with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                        await connection.aclose(RESTARTS)
                await trio.aclose_forcefully(stream)
                nursery.cancel_scope.cancel()
    except* trio.TooSlowError:
        failure = ClientProtocolError("a WebSocket's handshake took too long")
    except* Exception as errors:
        if failure is None:
            failure = ClientProtocolError(f"a WebSocket broke off: {_first_of(errors)!r}")
    if failure is not None:
        raise failure


def _choose(ours: Sequence[str], offered: Sequence[str]) -> str | None:
    return next((each for each in ours if each in offered), None)


async def _talk(
    talk: Callable[[WebSocket], Awaitable[None]], socket: WebSocket
) -> Exception | None:
    """Talk, and say goodbye. Returns what went wrong."""
    try:
        await talk(socket)
    except Exception as error:
        failure = _first_of(error)
        if isinstance(failure, WebSocketGone):
            return None
        if isinstance(failure, ClientProtocolError):
            await socket.close(1008, str(failure))
        else:
            await socket.close(1011, "something failed here; the log has what")
        return failure
    await socket.close()
    return None


def _first_of(error: Exception) -> Exception:
    """Return what was raised in the innermost nursery; that a client hung up counts last."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first_of(each) for each in error.exceptions]
    return min(leaves, key=lambda leaf: isinstance(leaf, WebSocketGone))


async def _keep_alive(connection: WebSocketConnection, scope: trio.CancelScope) -> None:
    """Ask now and then whether somebody is still there, and end the connection if not."""
    while True:
        await trio.sleep(PING_SECONDS)
        with trio.move_on_after(PONG_SECONDS) as waiting:
            try:
                await connection.ping()
            except ConnectionClosed:
                return
        if waiting.cancelled_caught:
            scope.cancel()
