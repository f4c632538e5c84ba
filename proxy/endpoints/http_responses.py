"""Write the responses of one HTTP connection: at once, or piece by piece as they come to be.

While pieces are written, the connection is read too: that is how a client that hangs up is noticed
although there is nothing to write. So who wants to hear all of them keeps its own side open.
"""

from __future__ import annotations

import email.utils
import http
from collections.abc import AsyncIterator

import h11
import trio

from proxy.endpoints.http_requests import CHUNK_BYTES, MAX_HEAD_BYTES
from proxy.endpoints.routes import Response
from proxy.errors import ClientProtocolError

READ_SECONDS = 30.0
"""How long a client may take to read each piece of a response."""
PIECE_BYTES = 256 * 1024
LINGER_SECONDS = 1.0
"""How long it may go on sending what nobody reads, so that it reads why."""

_ALWAYS = (
    ("Referrer-Policy", "no-referrer"),  # a URL may have the token in it
    ("X-Content-Type-Options", "nosniff"),
)
_WITHOUT_LENGTH = frozenset({http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED})


class HungUp(Exception):
    """The client did, while a response was written."""


class ResponseWriter:
    """Writes a connection's responses."""

    def __init__(self, stream: trio.abc.Stream, connection: h11.Connection) -> None:
        self._stream = stream
        self._http = connection

    async def respond(
        self,
        response: Response,
        *,
        is_head: bool = False,
        is_last: bool = False,
        reader: str | None = None,
    ) -> None:
        """Write a response, without the body where it answers HEAD.

        ``reader`` is the origin whose pages may read it. Raises :class:`HungUp`,
        :class:`ClientProtocolError` where the client does not read, and what an iterator raises.
        """
        body = response.body
        status = http.HTTPStatus(response.status)
        headers = [*response.headers, *_ALWAYS, ("Date", email.utils.formatdate(usegmt=True))]
        if isinstance(body, bytes) and status not in _WITHOUT_LENGTH:
            headers.append(("Content-Length", str(len(body))))
        if is_last:
            headers.append(("Connection", "close"))
        if reader is not None:
            headers += [("Access-Control-Allow-Origin", reader), ("Vary", "Origin")]
        head = h11.Response(status_code=status, reason=status.phrase.encode(), headers=headers)
        if isinstance(body, bytes):
            await self._send_whole(head, b"" if is_head else body)
        else:
            await self._send_pieces(head, body, is_head)

    async def send(self, data: bytes) -> None:
        """Write bytes of the protocol, and wait until the system has them.

        Raises :class:`ClientProtocolError` where the client does not read.
        """
        if not data:
            return
        with trio.move_on_after(READ_SECONDS) as waiting:
            await self._stream.send_all(data)
        if waiting.cancelled_caught:
            raise ClientProtocolError("a client did not read its response")

    async def linger(self) -> None:
        """Wait for the client to hang up: if we did first, it might not get what it was sent."""
        with trio.move_on_after(LINGER_SECONDS):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):  # TLS is not
                await self._stream.send_eof()
            while await self._stream.receive_some(CHUNK_BYTES):
                pass

    async def _send_whole(self, head: h11.Response, body: bytes) -> None:
        data = self._http.send(head)  # in one write with the body's beginning
        for at in range(0, len(body), PIECE_BYTES):
            await self.send(data + self._http.send(h11.Data(body[at : at + PIECE_BYTES])))
            data = b""
        await self.send(data + self._http.send(h11.EndOfMessage()))

    async def _send_pieces(
        self, head: h11.Response, pieces: AsyncIterator[bytes], is_head: bool
    ) -> None:
        """Send pieces until there are no more. The iterator is closed then, in this task."""
        failure: Exception | None = HungUp()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notice_hang_up, nursery.cancel_scope)
            try:
                await self.send(self._http.send(head))
                if not is_head:
                    async for piece in pieces:
                        for at in range(0, len(piece), PIECE_BYTES):
                            part = h11.Data(piece[at : at + PIECE_BYTES])
                            await self.send(self._http.send(part))
                await self.send(self._http.send(h11.EndOfMessage()))
                failure = None
            except Exception as error:
                failure = error
            finally:
                close = getattr(pieces, "aclose", None)
                if close is not None:
                    await close()
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _notice_hang_up(self, scope: trio.CancelScope) -> None:
        """Read what comes meanwhile, which is the next request's, and end the response when no
        more can come. Who asks for more and more while it waits is hung up on."""
        early_bytes = 0
        try:
            while early_bytes <= MAX_HEAD_BYTES:
                data = bytes(await self._stream.receive_some(CHUNK_BYTES))
                self._http.receive_data(data)
                if not data:
                    break
                early_bytes += len(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()
