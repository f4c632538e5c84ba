"""A process that has sessions, as far as those who ask about them can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from proxy.daemon.vocabulary import SessionInfo
from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.endpoints.unix_front import UnixFront
from proxy.errors import ClientProtocolError, NotFound


class Sink:
    def rejected(self, error: ClientProtocolError) -> None:
        raise error

    def failed(self, error: Exception) -> None:
        raise error


def info(name: str) -> SessionInfo:
    return SessionInfo(
        name=name,
        kernel="python3",
        language="python",
        status="idle",
        clients=2,
        pid=7,
        connection_file=f"kernel-{name}.json",
    )


@asynccontextmanager
async def answering(path: Path, *names: str) -> AsyncIterator[UnixFront]:
    """Answer for these sessions while the context lasts."""

    async def list_all(request: Request) -> Response:
        return json_response([info(name) for name in names])

    async def tell(request: Request) -> Response:
        if request.places["name"] not in names:
            raise NotFound("no such session")
        return json_response(info(request.places["name"]))

    routes = [
        Route(method="GET", path="/kmux/sessions", answer=list_all),
        Route(method="GET", path="/kmux/sessions/{name}", answer=tell),
    ]
    front = UnixFront(routes, Sink(), path=path)
    async with trio.open_nursery() as nursery:
        await nursery.start(front.serve)
        yield front
        nursery.cancel_scope.cancel()
