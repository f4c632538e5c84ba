"""The daemon's HTTP port: Jupyter's API, kmux's own, and the page that shows what runs."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from proxy import __version__
from proxy.daemon import web_place
from proxy.daemon.attachments import Attachments
from proxy.daemon.kernel_api import KernelApi
from proxy.daemon.kernelspec_api import KernelspecApi
from proxy.daemon.notebook_api import NotebookApi
from proxy.daemon.status_page import page_routes
from proxy.daemon.watch_api import WatchApi
from proxy.daemon.web_place import WebPlace
from proxy.endpoints.routes import Request, Response, Route, json_response
from proxy.endpoints.tls import tls_context
from proxy.endpoints.web import WebFront
from proxy.errors import ConfigError, KmuxError, NotFound
from proxy.logs import log
from proxy.settings import Settings

if TYPE_CHECKING:
    from proxy.daemon.sessions import Sessions
    from proxy.endpoints.http_connection import WebSink
    from proxy.endpoints.routes import WebSocketRoute

MAX_CONNECTIONS = 1000
DESCRIPTION = """\
kmux shares Jupyter kernels: one kernel, any number of frontends. Below /api is the API of Jupyter
Server, as far as it is about kernels, kernelspecs and sessions; below /kmux is what kmux does
besides. An error is {"message", "reason"}: a line for people, and the kind of error for programs.
503 may be answered to anybody: there are too many connections."""


class Web:
    """The port. :meth:`serve` is its life; where it cannot be had, :attr:`problem` says why."""

    def __init__(
        self, settings: Settings, sessions: Sessions, own_routes: list[Route], sink: WebSink
    ) -> None:
        self.url = ""
        """Where it is, without a token; empty where nobody listens."""
        self.problem = ""
        self._settings = settings
        self._sink = sink
        attachments = Attachments(sessions)
        kernels = KernelApi(sessions, attachments, settings.default_kernel)
        self.routes: list[Route | WebSocketRoute] = [
            *kernels.routes(),
            *KernelspecApi(sessions, settings.default_kernel).routes(),
            *NotebookApi(kernels, attachments).routes(),
            *WatchApi(sessions).routes(),
            *page_routes(),
            *own_routes,
            Route(
                method="GET",
                path="/kmux/openapi.json",
                answer=self._describe,
                summary="This document.",
                gives=dict[str, Any],
            ),
        ]
        """All that there is at the port."""

    async def serve(self) -> None:
        """Serve until cancelled. The daemon goes on without it where that cannot be."""
        try:
            front = await self._listen()
        except KmuxError as error:
            self.problem = str(error)
            log().error("web.not_served", why=self.problem)
            return
        log().info("web.served", url=self.url)
        await front.serve()

    async def _listen(self) -> WebFront:
        """Take the port: the one that there was, if the settings name none."""
        settings = self._settings
        tls = None
        if settings.tls_certificate:
            key = Path(settings.tls_key) if settings.tls_key else None
            tls = tls_context(Path(settings.tls_certificate), key)
        elif not _is_of_this_machine(settings.web_address):
            raise ConfigError(
                f"web_address {settings.web_address} is for other machines as well: without TLS "
                "they would read the token; set tls_certificate, or use 127.0.0.1"
            )
        place = _known()
        port = settings.web_port or place.port
        try:
            front = self._front(place, port, tls)
            await front.listen()
        except ConfigError as error:
            if settings.web_port:
                raise
            log().warning("web.port_lost", why=str(error))
            front = self._front(place, 0, tls)
            await front.listen()
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{front.netloc}/"
        web_place.keep(msgspec.structs.replace(place, url=self.url, port=front.port))
        return front

    async def _describe(self, request: Request) -> Response:
        from proxy.endpoints import openapi  # seldom asked for

        described = openapi.document(
            self.routes, title="kmux", version=__version__, description=DESCRIPTION
        )
        return json_response(described)

    def _front(self, place: WebPlace, port: int, tls: ssl.SSLContext | None) -> WebFront:
        settings = self._settings
        return WebFront(
            self.routes,
            self._sink,
            token=place.token,
            read_only_token=place.read_only_token,
            address=settings.web_address,
            port=port,
            origins=settings.web_origins.split(),
            tls=tls,
            max_connections=MAX_CONNECTIONS,
        )


def _known() -> WebPlace:
    try:
        return web_place.read()
    except NotFound:
        return web_place.fresh()


def _is_of_this_machine(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
