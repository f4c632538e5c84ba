"""Jupyter Server's REST API of kernels, and the WebSocket of each.

Frontends that know servers, and no connection files, attach by it: VS Code's "existing Jupyter
server", JupyterLab's ``--gateway-url``, scripts. DELETE detaches: a kernel is shared, and
jupyter_server deletes all kernels that it knows when it exits. ``DELETE /kmux/sessions/NAME``
ends one.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from proxy import __version__
from proxy.daemon.attachments import Attachments, own_id
from proxy.daemon.client import environment
from proxy.daemon.control import visible
from proxy.daemon.jupyter_vocabulary import (
    Identity,
    KernelModel,
    KernelOrigin,
    Me,
    NewKernel,
    ServerStatus,
    Version,
)
from proxy.daemon.vocabulary import AUTO, NewSession
from proxy.endpoints.routes import (
    Request,
    Response,
    Route,
    WebSocketRoute,
    json_response,
    refusal,
)
from proxy.endpoints.websocket import RESTARTS
from proxy.errors import ConfigError, NotFound
from proxy.kernels.specs import SHARED_PREFIX
from proxy.wire.websocket_frames import V1

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions
    from proxy.endpoints.websocket import WebSocket

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
"""What a client may send at once, an upload for instance."""
WORKING_DIRECTORY = "KERNEL_WORKING_DIR"
NOTEBOOK = "JPY_SESSION_NAME"
"""How a Jupyter server says where a kernel is to run, and for which notebook."""
ONE = "/api/kernels/{kernel_id}"


class KernelApi:
    """The routes of ``/api/kernels`` and of what a client asks first."""

    def __init__(self, sessions: Sessions, attachments: Attachments, default: str) -> None:
        """``default`` is the kernelspec of a kernel of which none is said."""
        self._sessions = sessions
        self._attachments = attachments
        self._default = default
        self._began = time.time()

    def routes(self) -> list[Route | WebSocketRoute]:
        """Return all routes."""
        return [
            Route(
                method="GET",
                path="/api",
                answer=self._version,
                summary="The version of kmux.",
                gives=Version,
            ),
            Route(
                method="GET",
                path="/api/status",
                answer=self._status,
                summary="How many kernels and connections there are, and since when.",
                gives=ServerStatus,
            ),
            Route(
                method="GET",
                path="/api/me",
                answer=self._me,
                summary="Whether the token is for everything or for looking.",
                gives=Me,
            ),
            Route(
                method="GET",
                path="/api/kernels",
                answer=self._list,
                summary="All kernels. One that frontends have joined has an id for each of these.",
                gives=list[KernelModel],
            ),
            Route(
                method="POST",
                path="/api/kernels",
                answer=self._start,
                summary="Start a kernel, or join one that runs (shared-NAME).",
                takes=NewKernel,
                gives=KernelModel,
                status=201,
                refuses=(409, 503),
            ),
            Route(method="GET", path=ONE, answer=self._get, summary="A kernel.", gives=KernelModel),
            Route(
                method="DELETE",
                path=ONE,
                answer=self._detach,
                summary="Detach: the id is given back, and the kernel goes on.",
            ),
            Route(
                method="POST",
                path=f"{ONE}/interrupt",
                answer=self._interrupt,
                summary="Interrupt the cell that runs, whosever it is.",
            ),
            Route(
                method="POST",
                path=f"{ONE}/restart",
                answer=self._restart,
                summary="Restart the kernel, for everybody.",
                gives=KernelModel,
                refuses=(409,),
            ),
            WebSocketRoute(
                path=f"{ONE}/channels",
                admit=self._admit,
                talk=self._talk,
                max_message_bytes=MAX_MESSAGE_BYTES,
                subprotocols=(V1,),
                summary="Talk to a kernel; without the subprotocol, in the legacy form.",
                query={"session_id": "Who this is: under the same name one gets what one missed."},
            ),
        ]

    def model(self, kernel_id: str, live: LiveSession) -> KernelModel:
        """Return what there is to say of a kernel."""
        runner = live.hosted.runner
        return KernelModel(
            id=kernel_id,
            name=live.state.kernel_name,
            last_activity=moment(runner.last_activity or live.state.created),
            execution_state=live.describe().status,
            connections=len(visible(runner)),
            kmux=KernelOrigin(session=live.name, alias=kernel_id != own_id(live)),
        )

    async def start(self, name: str | None, env: dict[str, str], path: str | None) -> str:
        """Start a kernel, or attach to one that runs ("shared-NAME"). Returns its id.

        Raises what :meth:`Sessions.new` does, and :class:`ConfigError` where a notebook is to
        choose its kernel that cannot be found.
        """
        name = name or self._default
        if name.startswith(SHARED_PREFIX):
            try:
                return self._attachments.attach(
                    self._sessions.get(name.removeprefix(SHARED_PREFIX))
                )
            except NotFound:
                pass  # a kernelspec may be called so
        notebook = env.get(NOTEBOOK) or path
        if name == AUTO and notebook is not None:
            notebook = _found(notebook, env.get(WORKING_DIRECTORY))
        is_file = notebook is not None and Path(notebook).is_absolute()
        live, is_new = await self._sessions.begin(
            NewSession(
                kernel=name,
                notebook=notebook if is_file else None,
                find=is_file,
                cwd=_directory(env.get(WORKING_DIRECTORY), notebook),
                env={**environment(), **env},
            )
        )
        await self._sessions.when_ready(live)
        return own_id(live) if is_new else self._attachments.attach(live)

    async def _version(self, request: Request) -> Response:
        return json_response(Version(version=__version__))

    async def _status(self, request: Request) -> Response:
        sessions = self._sessions.all()
        last = max((live.hosted.runner.last_activity for live in sessions), default=0.0)
        return json_response(
            ServerStatus(
                started=moment(self._began),
                last_activity=moment(last or self._began),
                connections=sum(len(visible(live.hosted.runner)) for live in sessions),
                kernels=len(sessions),
            )
        )

    async def _me(self, request: Request) -> Response:
        who = "onlooker" if request.read_only else "owner"
        return json_response(Me(identity=Identity(username=who, name=who, display_name=who)))

    async def _list(self, request: Request) -> Response:
        return json_response([self.model(*each) for each in self._attachments.all()])

    async def _get(self, request: Request) -> Response:
        kernel_id = request.places["kernel_id"]
        return json_response(self.model(kernel_id, self._attachments.find(kernel_id)))

    async def _start(self, request: Request) -> Response:
        wish = request.read(NewKernel)
        kernel_id = await self.start(wish.name, wish.env, wish.path)
        model = self.model(kernel_id, self._attachments.find(kernel_id))
        return json_response(model, ("Location", f"/api/kernels/{kernel_id}"), status=201)

    async def _detach(self, request: Request) -> Response:
        self._attachments.detach(request.places["kernel_id"])
        return Response(status=204)

    async def _interrupt(self, request: Request) -> Response:
        self._attachments.find(request.places["kernel_id"]).interrupt()
        return Response(status=204)

    async def _restart(self, request: Request) -> Response:
        kernel_id = request.places["kernel_id"]
        live = self._attachments.find(kernel_id)
        live.restart(live.web.by(kernel_id))
        return json_response(self.model(kernel_id, live))

    def _admit(self, request: Request) -> Response | None:
        try:
            self._attachments.find(request.places["kernel_id"])
        except NotFound as error:
            return refusal(404, str(error))
        return None

    async def _talk(self, request: Request, socket: WebSocket) -> None:
        try:
            live = self._attachments.find(request.places["kernel_id"])
        except NotFound as error:  # it has ended during the handshake
            await socket.close(*_gone(error))
            return
        door = live.web.clients(read_only=request.read_only)
        kernel_id = request.places["kernel_id"]
        await door.serve(socket, request.query.get("session_id"), kernel_id)


def _gone(error: NotFound) -> tuple[int, str]:
    """Say goodbye so that a client looks what there is: of 1000 and 1001 JupyterLab takes no
    notice (RFC 6455, 7.4.1)."""
    return RESTARTS, str(error)


def moment(at: float) -> str:
    """Return a time as jupyter_server's gateway client parses it, to the letter."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _found(notebook: str, directory: str | None) -> str:
    """Return the path of a notebook that is to be looked into; what is no notebook, a console's
    name for instance, stays what it is.

    A relative one is beside its kernel's working directory, or is from the root of somebody's
    server; that directory is its own then. Raises :class:`ConfigError` where none is given.
    """
    path = Path(notebook)
    if path.is_absolute() or path.suffix != ".ipynb":
        return notebook
    if directory is None or not Path(directory).is_absolute():
        raise ConfigError(
            f"{notebook} is to choose its kernel, and cannot be found: give its absolute path, or "
            f"the directory that it is in ({WORKING_DIRECTORY}), or choose another kernel"
        )
    below = Path(directory) / path
    return str(below if below.is_file() else Path(directory) / path.name)


def _directory(wished: str | None, notebook: str | None) -> str | None:
    """Return where a kernel is to run: there, or beside its notebook, as far as that exists."""
    for each in (wished, str(Path(notebook).parent) if notebook else None):
        if each and Path(each).is_absolute() and Path(each).is_dir():
            return each
    return None
