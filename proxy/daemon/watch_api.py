"""What the status page asks for: sessions as they change, their latest cells, pictures, notebooks.

``/kmux/watch`` is a WebSocket on which nothing is said but by the daemon: JSON, :class:`News`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import trio

from proxy.daemon import control
from proxy.daemon.api import PREFIX
from proxy.daemon.gallery import CELLS, Gallery, Onlooker
from proxy.endpoints.routes import (
    Request,
    Response,
    Route,
    WebSocketRoute,
    json_response,
    refusal,
)
from proxy.errors import ClientProtocolError, ConfigError, NotFound
from proxy.record.glimpse import ShownCell
from proxy.record.sync import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions
    from proxy.endpoints.websocket import WebSocket
    from proxy.record_server import RecordServer

MAX_CELLS = 50
MAX_MESSAGE_BYTES = 1024
NOTEBOOK = "application/x-ipynb+json"


class WatchApi:
    """The routes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._gallery = Gallery(sessions)
        self._exports = trio.CapacityLimiter(1)

    def routes(self) -> list[Route | WebSocketRoute]:
        """Return all routes."""
        one = f"{PREFIX}/{{name}}"
        return [
            WebSocketRoute(
                path="/kmux/watch",
                talk=self._watch,
                max_message_bytes=MAX_MESSAGE_BYTES,
                summary="What becomes of all sessions: all of it first, then what changes.",
            ),
            WebSocketRoute(
                path=f"{one}/record",
                talk=self._follow,
                admit=self._admit,
                max_message_bytes=MAX_FRAME_BYTES,
                summary="The record, for automerge-repo's WebSocket client.",
            ),
            Route(
                method="GET",
                path=f"{one}/outputs",
                answer=self._outputs,
                summary="The latest cells, and what they have shown.",
                gives=list[ShownCell],
                query={"cells": f"How many cells, {MAX_CELLS} at most."},
                refuses=(400,),
            ),
            Route(
                method="GET",
                path=f"{one}/blobs/{{sha256}}",
                answer=self._blob,
                summary="Something large that a cell has shown.",
                gives=bytes,
            ),
            Route(
                method="GET",
                path=f"{one}/export",
                answer=self._export,
                summary="The session as a notebook.",
                gives=bytes,
            ),
        ]

    async def _watch(self, request: Request, socket: WebSocket) -> None:
        from proxy.endpoints.websocket import frame

        onlooker = Onlooker(read_only=request.read_only)
        changes = self._sessions.changes
        if not changes.are_noted:
            self._gallery.forget()
        with changes.looking() as bell:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_hear_the_end_of, socket)
                while True:
                    news = onlooker.news(await self._gallery.look())
                    if news is not None:
                        await socket.send_frames([(frame(news, text=True), 0)])
                    await self._gallery.wait(bell)

    def _admit(self, request: Request) -> Response | None:
        try:
            self._record_server(request)
        except NotFound as error:
            return refusal(error.status, str(error))
        return None

    async def _follow(self, request: Request, socket: WebSocket) -> None:
        await self._record_server(request).read_along(request, socket)

    async def _outputs(self, request: Request) -> Response:
        wish = request.query.get("cells", str(CELLS))
        digits = len(str(MAX_CELLS))  # Python refuses to read thousands of them
        is_number = wish.isascii() and wish.isdigit() and len(wish) <= digits
        if not (is_number and 0 < int(wish) <= MAX_CELLS):
            raise ConfigError(f"cells is a number from 1 to {MAX_CELLS}")
        return json_response(await self._gallery.cells(self._of(request), int(wish)))

    async def _blob(self, request: Request) -> Response:
        return await self._record_server(request).answer_blob(request)

    async def _export(self, request: Request) -> Response:
        live = self._of(request)
        recorder = live.hosted.recorder
        if recorder is None:
            raise _not_recorded(live)
        await control.flush(live)
        body = await trio.to_thread.run_sync(
            _notebook_of, recorder.directory, limiter=self._exports
        )
        return Response(
            headers=(
                ("Content-Type", NOTEBOOK),
                ("Content-Disposition", f'attachment; filename="{live.name}.ipynb"'),
                ("Content-Security-Policy", "sandbox; default-src 'none'"),
                ("Cache-Control", "no-store"),
            ),
            body=body,
        )

    def _record_server(self, request: Request) -> RecordServer:
        live = self._of(request)
        if live.hosted.record_server is None:
            raise _not_recorded(live)
        return live.hosted.record_server

    def _of(self, request: Request) -> LiveSession:
        return self._sessions.get(request.places["name"])


def _not_recorded(live: LiveSession) -> NotFound:
    return NotFound(f"{live.name} is not recorded: it was started so, or its disk is full")


async def _hear_the_end_of(socket: WebSocket) -> None:
    """Wait until the other side is gone, which is raised. Who says something is hung up on."""
    await socket.receive_any()
    raise ClientProtocolError("nothing is to be said here")


def _notebook_of(directory: Path) -> bytes:
    from proxy.daemon.recorded import kernelspec_of
    from proxy.record import notebook_file
    from proxy.record.export import export
    from proxy.record.loading import load

    whole = load(directory)
    made = export(whole, kernelspec_of(whole))
    return notebook_file.written(made.notebook).encode("utf-8", "replace")
