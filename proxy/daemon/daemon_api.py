"""What only the daemon can: sessions begun, adopted, ended, ports taken; the daemon's own life."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from proxy.daemon.api import NO_CONTENT, PREFIX, session_routes
from proxy.daemon.starting import start
from proxy.daemon.vocabulary import (
    Adoption,
    Attached,
    AttachRequest,
    DaemonStatus,
    NewSession,
    OutputFile,
    Rename,
    SessionInfo,
    ShimCalled,
    ShimRequest,
)
from proxy.endpoints.routes import Request, Response, Route, json_response

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions
    from proxy.daemon.shims import Shims

JSON_LINES = (("Content-Type", "application/jsonlines"),)


class DaemonApi:
    """The routes of the daemon's socket."""

    def __init__(
        self,
        sessions: Callable[[], Awaitable[Sessions]],
        shims: Callable[[], Awaitable[Shims]],
        status: Callable[[], Awaitable[DaemonStatus]],
        end: Callable[[bool], None],
    ) -> None:
        """``sessions`` and ``shims`` wait until there are any to be asked about. ``end`` ends the
        daemon; True: its sessions as well."""
        self._sessions = sessions
        self._shims = shims
        self._status = status
        self._end = end

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            *self.web_routes(),
            Route(method="POST", path="/kmux/starts", answer=self._start),
            Route(method="POST", path="/kmux/shims", answer=self._shim),
            Route(method="POST", path="/kmux/shims/interrupt", answer=self._interrupt_by_shim),
        ]

    def web_routes(self) -> list[Route]:
        """Return those that are also for who comes by HTTP."""
        one = f"{PREFIX}/{{name}}"
        return [
            *session_routes(self._sessions),
            Route(
                method="GET",
                path="/kmux/daemon",
                answer=self._tell,
                summary="The daemon: its process, its version, its address.",
                gives=DaemonStatus,
            ),
            Route(
                method="DELETE",
                path="/kmux/daemon",
                answer=self._stop,
                summary="End the daemon; kernels go on, and the next daemon has them.",
                query={"all": "End all sessions and their kernels as well, whatever its value."},
            ),
            Route(
                method="POST",
                path=PREFIX,
                answer=self._new,
                summary="Begin a session, and wait until its kernel answers.",
                takes=NewSession,
                gives=SessionInfo,
                status=201,
                refuses=(409, 503),
            ),
            Route(
                method="POST",
                path="/kmux/adoptions",
                answer=self._adopt,
                summary="Share a kernel that somebody else started.",
                takes=Adoption,
                gives=SessionInfo,
                status=201,
                refuses=(409, 503),
            ),
            Route(
                method="DELETE",
                path=one,
                answer=self._stop_session,
                summary="End a session and its kernel.",
            ),
            Route(
                method="PATCH",
                path=one,
                answer=self._rename,
                summary="Call a session otherwise.",
                takes=Rename,
                gives=SessionInfo,
                refuses=(409,),
            ),
            Route(
                method="POST",
                path=f"{one}/endpoints",
                answer=self._attach,
                summary="Have a set of ZMQ ports, for frontends with connection files.",
                takes=AttachRequest,
                gives=Attached,
                status=201,
            ),
            Route(
                method="GET",
                path=f"{one}/output",
                answer=self._output,
                summary="Which file has what the kernel itself writes to stdout and stderr.",
                gives=OutputFile,
            ),
        ]

    async def _tell(self, request: Request) -> Response:
        return json_response(await self._status())

    async def _stop(self, request: Request) -> Response:
        self._end("all" in request.query)
        return NO_CONTENT

    async def _new(self, request: Request) -> Response:
        live = await (await self._sessions()).new(request.read(NewSession))
        return _made(live)

    async def _start(self, request: Request) -> Response:
        starting = await start(await self._sessions(), request.read(NewSession))
        return Response(headers=JSON_LINES, body=starting)

    async def _adopt(self, request: Request) -> Response:
        return _made(await (await self._sessions()).adopt(request.read(Adoption)))

    async def _stop_session(self, request: Request) -> Response:
        await (await self._sessions()).stop(request.places["name"])
        return NO_CONTENT

    async def _rename(self, request: Request) -> Response:
        new = request.read(Rename).name
        live = await (await self._sessions()).rename(request.places["name"], new)
        return json_response(live.describe())

    async def _attach(self, request: Request) -> Response:
        live = (await self._sessions()).get(request.places["name"])
        endpoint = live.ports.attach(request.read(AttachRequest).kind)
        attached = Attached(name=live.name, kind=endpoint.kind, connection_file=endpoint.file)
        return json_response(attached, status=201)

    async def _output(self, request: Request) -> Response:
        """Tell where the kernel's own output is."""
        live = (await self._sessions()).get(request.places["name"])
        return json_response(OutputFile(file=str(live.directory.kernel.output_file)))

    async def _shim(self, request: Request) -> Response:
        shim = await (await self._shims()).attach(request.read(ShimRequest))
        return Response(headers=JSON_LINES, body=shim)

    async def _interrupt_by_shim(self, request: Request) -> Response:
        (await self._shims()).interrupt(request.read(ShimCalled).connection_file)
        return NO_CONTENT


def _made(live: LiveSession) -> Response:
    location = ("Location", f"{PREFIX}/{live.name}")
    return json_response(live.describe(), location, status=201)
