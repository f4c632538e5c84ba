"""A record's documents and blobs on a port: what ties ``record`` to ``endpoints``.

``/record/sync``
    a WebSocket that speaks automerge-repo's protocol: ``record/sync.py``
``/record/blobs/{sha256}``
    the content of a blob

A blob is whatever a kernel has put out, HTML and SVG among it, and this port's origin has the
record. So it is served as what it is, but where a browser would run it, it has no rights (a sandbox
without scripts) and is offered to be saved.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Protocol

import trio

from proxy.bell import Bell
from proxy.endpoints.routes import Request, Response, Route, WebSocketRoute, refusal
from proxy.endpoints.web import WebFront
from proxy.endpoints.websocket import WebSocket
from proxy.errors import ClientProtocolError, StoreError
from proxy.logs import log
from proxy.pulse import beat
from proxy.record.addresses import DocumentId, url_of
from proxy.record.sync import MAX_FRAME_BYTES, SyncPeer, SyncServer

JOIN_SECONDS = 10.0
"""automerge-repo's client opens a socket every few seconds until one is open, and leaves the others
open without a word."""
EXPIRE_SECONDS = 6.0
MAX_BLOBS_READ = 4
"""Read from the disk at a time."""

SHOWN = ("image/", "audio/", "video/", "text/plain", "application/json")
"""What a browser shows without running it. All else is offered to be saved."""
_HARMLESS = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_FOR_EVER = "private, max-age=31536000, immutable"


class Blobs(Protocol):
    """Where large values are. Called in worker threads."""

    def get(self, sha256: str, /) -> bytes:
        """Return the content. Raises :class:`StoreError` where there is none."""

    def media_type(self, sha256: str, /) -> str:
        """Return what it is."""


class RecordServer:
    """Serves one session's record. ``token`` is made where none is given."""

    def __init__(
        self,
        sync: SyncServer,
        blobs: Blobs,
        *,
        token: str | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        origins: Iterable[str] = (),
    ) -> None:
        self.sync = sync
        self.token = token or secrets.token_urlsafe()
        self._blobs = blobs
        self._limiter = trio.CapacityLimiter(MAX_BLOBS_READ)
        routes: list[Route | WebSocketRoute] = [
            WebSocketRoute(
                path="/record/sync", talk=self.read_along, max_message_bytes=MAX_FRAME_BYTES
            ),
            Route(method="GET", path="/record/blobs/{sha256}", answer=self.answer_blob),
        ]
        self.front = WebFront(
            routes, self, token=self.token, address=address, port=port, origins=origins
        )

    @property
    def sync_url(self) -> str:
        """What a WebSocket client connects to, with the token."""
        return f"ws://{self.front.netloc}/record/sync?token={self.token}"

    def blob_url(self, sha256: str) -> str:
        """Where a blob is, with the token."""
        return f"http://{self.front.netloc}/record/blobs/{sha256}?token={self.token}"

    def document_url(self, document_id: DocumentId) -> str:
        """What a client then looks for."""
        return url_of(document_id)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled: then all connections are closed.

        Raises :class:`ConfigError` where the port cannot be had.
        """
        await self.front.listen()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.front.serve)
            task_status.started()
            while True:
                await beat(EXPIRE_SECONDS)
                self.sync.expire()

    # What the front reports

    def rejected(self, error: ClientProtocolError) -> None:
        """A client was hung up on."""
        log().info("web.rejected", reason=str(error))

    def failed(self, error: Exception) -> None:
        """Something is wrong here."""
        if isinstance(error, StoreError):
            log().warning("record.unreadable", reason=str(error))
        else:
            log().error("internal.error", what="record server", exc_info=error)

    # Documents

    async def read_along(self, request: Request, socket: WebSocket) -> None:
        """Carry frames between a WebSocket and our side of it."""
        work, room = Bell(), Bell()
        peer = self.sync.connect(work.ring)
        try:
            with trio.move_on_after(JOIN_SECONDS):
                while peer.name is None:
                    peer.receive(await socket.receive())
            if peer.name is None:
                return
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, peer, socket, work, room, nursery.cancel_scope)
                while True:
                    peer.receive(await socket.receive())
                    while peer.is_behind:
                        await room.wait()
        finally:
            self.sync.disconnect(peer)

    async def _write(
        self,
        peer: SyncPeer,
        socket: WebSocket,
        work: Bell,
        room: Bell,
        scope: trio.CancelScope,
    ) -> None:
        """Send whatever is to be sent, and end the talk after the peer's goodbye."""
        while True:
            frame = peer.next_frame()
            if frame is not None:
                await socket.send(frame)
                room.ring()
            elif peer.goodbye is not None:
                scope.cancel()
                return
            else:
                due = peer.due_at
                seconds = float("inf") if due is None else due - self.sync.clock()
                with trio.move_on_after(max(0, seconds)):
                    await work.wait()

    # Blobs

    async def answer_blob(self, request: Request) -> Response:
        """Answer with the blob whose name stands in the path's place ``sha256``."""
        sha256 = request.places["sha256"]
        tag = f'"{sha256}"'
        if request.header(b"if-none-match") == tag:
            return Response(status=304, headers=(("ETag", tag), ("Cache-Control", _FOR_EVER)))
        try:
            media_type, body = await trio.to_thread.run_sync(
                self._read_blob, sha256, limiter=self._limiter
            )
        except StoreError as error:
            return refusal(404, str(error))
        if not (media_type.isascii() and media_type.isprintable()):
            media_type = "application/octet-stream"
        if media_type.startswith("text/") and ";" not in media_type:
            media_type += "; charset=utf-8"
        shown = media_type.startswith(SHOWN) and not media_type.startswith("image/svg")
        return Response(
            headers=(
                ("Content-Type", media_type),
                ("Content-Disposition", "inline" if shown else "attachment"),
                ("Content-Security-Policy", _HARMLESS),
                ("Cache-Control", _FOR_EVER),
                ("ETag", tag),
            ),
            body=body,
        )

    def _read_blob(self, sha256: str) -> tuple[str, bytes]:
        return self._blobs.media_type(sha256), self._blobs.get(sha256)
