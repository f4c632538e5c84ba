"""One WebSocket: an upgrade that the front has read, spoken on by trio-websocket.

trio-websocket (0.12) waits for ever where a handshake is no good, and lets some errors of the peer
fall into the nursery that it reads in. So the handshake is checked before it gets it
(:func:`why_no_websocket`), and each connection has a nursery of its own, in which whatever is
raised while reading is the peer's fault.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

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
MAX_REASON_BYTES = 100
"""Of a close frame, which has 125."""


class WebSocketGone(Exception):
    """The other side has closed it, or broke off."""


class WebSocket:
    """An open WebSocket. Made by :func:`serve`."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """Wait for a message. If cancelled, none is lost.

        Raises :class:`WebSocketGone`; :class:`ClientProtocolError` where it is a text.
        """
        try:
            message = await self._connection.get_message()
        except ConnectionClosed:
            raise WebSocketGone from None
        if isinstance(message, str):
            raise ClientProtocolError("a text, where all messages are binary")
        return message

    async def send(self, message: bytes) -> None:
        """Send a message, and wait until the system has it. Only one task at a time may send.

        If cancelled, the message may be cut off, and the WebSocket is of no more use. Raises
        :class:`WebSocketGone`.
        """
        try:
            await self._connection.send_message(message)
        except ConnectionClosed:
            raise WebSocketGone from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, and wait a little for the answer. The codes are those of RFC 6455, 7.4.1."""
        short = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        with trio.move_on_after(CLOSE_SECONDS):
            await self._connection.aclose(code, short or None)


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
) -> None:
    """Accept a WebSocket whose handshake ``head`` is, and talk on it until that returns.

    The stream is closed in the end, also when cancelled. ``talk`` may have a nursery: the first
    thing that is raised in it counts. Raises it, unless it is :class:`WebSocketGone`; and
    :class:`ClientProtocolError` where the client broke the protocol.
    """
    failure: Exception | None = None
    given_back: Any = GivenBack(head, stream)
    try:
        async with trio.open_nursery() as nursery:
            connection: WebSocketConnection | None = None
            try:
                with trio.fail_after(HANDSHAKE_SECONDS):
                    request = await wrap_server_stream(
                        nursery, given_back, max_message_size=max_message_bytes
                    )
                    connection = await request.accept()
                nursery.start_soon(_keep_alive, connection, nursery.cancel_scope)
                failure = await _talk(talk, WebSocket(connection))
            finally:
                if connection is not None:
                    with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                        await connection.aclose(1001)
                await trio.aclose_forcefully(stream)
                nursery.cancel_scope.cancel()
    except* trio.TooSlowError:
        failure = ClientProtocolError("a WebSocket's handshake took too long")
    except* Exception as errors:
        if failure is None:
            failure = ClientProtocolError(f"a WebSocket broke off: {_first_of(errors)!r}")
    if failure is not None:
        raise failure


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


class GivenBack(trio.abc.Stream):
    """A stream of which something was read that is somebody else's to read."""

    def __init__(self, read: bytes, stream: trio.abc.Stream) -> None:
        self._read = read
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what was given back, then what comes."""
        if self._read:
            count = len(self._read) if max_bytes is None else max_bytes
            given, self._read = self._read[:count], self._read[count:]
            await trio.lowlevel.checkpoint()
            return given
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send to the stream."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for the stream."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()
