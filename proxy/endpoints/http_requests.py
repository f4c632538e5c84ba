"""Read the requests of one HTTP connection: a head (h11) and a body, within their time and size.

A body is read when somebody is known who takes it. Who asks first whether it may send one
(``Expect: 100-continue``) is told so then, and before that may be told that it need not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import h11
import trio

from proxy.errors import ClientProtocolError

MAX_HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
"""How long a client may take for a request's head."""
IDLE_SECONDS = 60.0
"""How long it may keep a connection between two requests."""
BODY_SECONDS = 10.0
"""How long it may take for a request's body, and …"""
BODY_BYTES_PER_SECOND = 64 * 1024
"""… a second more for each so many bytes that came."""
DROPPED_BYTES = 64 * 1024
"""How large a body may be where none is taken."""
CHUNK_BYTES = 16 * 1024
"""Read at a time."""


class Malformed(ClientProtocolError):
    """It is no HTTP request."""

    def __init__(self, why: str, status: int = ClientProtocolError.status) -> None:
        super().__init__(f"malformed request: {why}")
        self.status = status


class BodyTooLarge(ClientProtocolError):
    """A request brings more than its route takes."""

    status = 413


class BodyTooSlow(ClientProtocolError):
    """A request's body did not come in its time."""

    status = 408


class RequestReader:
    """Reads a connection's requests. ``send`` is for what is said in between."""

    def __init__(
        self,
        stream: trio.abc.ReceiveStream,
        http: h11.Connection,
        send: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._stream = stream
        self._http = http
        self._send = send
        self._patience = HEAD_SECONDS

    async def next_head(self) -> h11.Request | None:
        """Read the next request's head. None where there is none any more.

        Raises :class:`ClientProtocolError`.
        """
        deadline = trio.current_time() + self._patience
        self._patience = IDLE_SECONDS
        while True:
            event = self._next_event()
            if isinstance(event, h11.Request):
                if _has_two_lengths(event):  # two servers might not agree where it ends
                    raise Malformed("its body has two lengths")
                if not _has_body(event):
                    self._next_event()  # the request's end
                return event
            if isinstance(event, h11.ConnectionClosed):
                return None
            with trio.move_on_at(deadline) as waiting:
                self._http.receive_data(bytes(await self._stream.receive_some(CHUNK_BYTES)))
            if waiting.cancelled_caught:
                return None
            deadline = min(deadline, trio.current_time() + HEAD_SECONDS)

    @property
    def has_more(self) -> bool:
        """Whether the request has a body that was not read to its end."""
        return self._http.their_state is h11.SEND_BODY

    async def read_body(self, head: h11.Request, limit: int) -> bytes:
        """Read the request's body. Where none is taken (``limit`` is 0), a small one is dropped.

        Raises :class:`ClientProtocolError`.
        """
        read_bytes = limit or DROPPED_BYTES
        if _declared_bytes(head) > read_bytes:
            raise _too_large(limit)
        body = bytearray()
        deadline = trio.current_time() + BODY_SECONDS
        while self.has_more:
            event = self._next_event()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > read_bytes:
                    raise _too_large(limit)
            elif event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._send(self._http.send(_GO_ON))
                with trio.move_on_at(deadline + len(body) / BODY_BYTES_PER_SECOND) as waiting:
                    self._http.receive_data(bytes(await self._stream.receive_some(CHUNK_BYTES)))
                if waiting.cancelled_caught:
                    raise BodyTooSlow("the request's body took too long")
        return bytes(body) if limit else b""

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            why = str(error).partition(": b")[0]  # what follows is theirs, and may have the token
            raise Malformed(why, error.error_status_hint) from None


_GO_ON = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")


def _declared_bytes(head: h11.Request) -> int:
    """Return how long a head says that the body is; 0 where it does not."""
    return next((int(value) for name, value in head.headers if name == b"content-length"), 0)


def _is_chunked(head: h11.Request) -> bool:
    return any(name == b"transfer-encoding" for name, _ in head.headers)


def _has_body(head: h11.Request) -> bool:
    return _is_chunked(head) or _declared_bytes(head) > 0


def _has_two_lengths(head: h11.Request) -> bool:
    return _is_chunked(head) and any(name == b"content-length" for name, _ in head.headers)


def _too_large(limit: int) -> BodyTooLarge:
    if limit == 0:
        return BodyTooLarge("this path takes no body")
    return BodyTooLarge(f"the request's body is too large: at most {limit} bytes are taken here")
