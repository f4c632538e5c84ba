"""The control API, by HTTP on a Unix socket: what every process answers that has sessions.

Conventions are those of Jupyter's REST API: resources in the path, 201 for what was made, 204 for
what is done, errors as ``{"message", "reason"}``. What only the daemon can is in
``daemon_api.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from proxy.daemon.vocabulary import Cancelled, ClientEntry, Flushed, QueueEntry, SessionInfo
from proxy.endpoints.routes import Request, Response, Route, json_response

if TYPE_CHECKING:
    from proxy.daemon.control import ControlledSession

PREFIX = "/kmux/sessions"
NO_CONTENT = Response(status=204)


class SessionTable(Protocol):
    """The sessions of a process."""

    def all(self) -> Sequence[ControlledSession]:
        """All of them, by name."""

    def get(self, name: str) -> ControlledSession:
        """Return one. Raises :class:`NotFound`."""


def session_routes(table: Callable[[], Awaitable[SessionTable]]) -> list[Route]:
    """Make the routes on which each session answers. Who asks waits until there is a table."""

    async def list_all(request: Request) -> Response:
        return json_response([session.describe() for session in (await table()).all()])

    def of_one(answer: Callable[[ControlledSession, Request], Awaitable[Response]]) -> Handler:
        async def handle(request: Request) -> Response:
            return await answer((await table()).get(request.places["name"]), request)

        return handle

    one = f"{PREFIX}/{{name}}"
    return [
        Route(
            method="GET",
            path=PREFIX,
            answer=list_all,
            summary="All sessions.",
            gives=list[SessionInfo],
        ),
        Route(
            method="GET",
            path=one,
            answer=of_one(_describe),
            summary="A session.",
            gives=SessionInfo,
        ),
        Route(
            method="POST",
            path=f"{one}/interrupt",
            answer=of_one(_interrupt),
            summary="Interrupt the cell that runs, whosever it is.",
        ),
        Route(
            method="POST",
            path=f"{one}/restart",
            answer=of_one(_restart),
            summary="Restart the kernel, for everybody.",
            gives=SessionInfo,
            refuses=(409,),
        ),
        Route(
            method="POST",
            path=f"{one}/flush",
            answer=of_one(_flush),
            summary="Write the record to the disk now.",
            gives=Flushed,
        ),
        Route(
            method="GET",
            path=f"{one}/clients",
            answer=of_one(_clients),
            summary="Who is attached, longest first.",
            gives=list[ClientEntry],
        ),
        Route(
            method="GET",
            path=f"{one}/queue",
            answer=of_one(_queue),
            summary="The cells that run and wait, in the order of their turns.",
            gives=list[QueueEntry],
        ),
        Route(
            method="DELETE",
            path=f"{one}/queue/{{msg_id}}",
            answer=of_one(_cancel),
            summary="Take a cell that waits out of the queue.",
            gives=Cancelled,
        ),
    ]


Handler = Callable[[Request], Awaitable[Response]]


async def _describe(session: ControlledSession, request: Request) -> Response:
    return json_response(session.describe())


async def _interrupt(session: ControlledSession, request: Request) -> Response:
    session.interrupt()
    return NO_CONTENT


async def _restart(session: ControlledSession, request: Request) -> Response:
    session.restart()
    return json_response(session.describe())


async def _flush(session: ControlledSession, request: Request) -> Response:
    from proxy.daemon import control

    return json_response(await control.flush(session))


async def _clients(session: ControlledSession, request: Request) -> Response:
    from proxy.daemon import control

    return json_response(control.clients(session))


async def _queue(session: ControlledSession, request: Request) -> Response:
    from proxy.daemon import control

    return json_response(control.queue(session))


async def _cancel(session: ControlledSession, request: Request) -> Response:
    from proxy.daemon import control

    return json_response(control.cancel(session, request.places["msg_id"]))
