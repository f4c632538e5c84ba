"""Requests, responses, and the table that says who answers what. No application is known here.

A path of the table is made of names, and of places for them: ``/record/blobs/{sha256}``.
"""

from __future__ import annotations

import http
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote

import h11
import msgspec

from proxy.errors import ClientProtocolError
from proxy.message import JSON_ERRORS

if TYPE_CHECKING:
    from proxy.endpoints.websocket import WebSocket

WEBSOCKET = "websocket"
"""The method, in the table, of those who ask for a WebSocket."""
MAX_PARAMETERS = 100
MAX_BODY_BYTES = 1024 * 1024
"""What a request may bring along, where its route says nothing else."""
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request."""

    method: str
    """GET, POST, … as it came; or :data:`WEBSOCKET`."""
    path: tuple[str, ...]
    """The parts of the path, decoded."""
    query: dict[str, str]
    """Where a name comes twice, its first value."""
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    places: dict[str, str] = {}
    """What stands in the places of the path."""
    body: bytes = b""
    read_only: bool = False
    """Whether who asks may look and not touch."""
    peer_pid: int | None = None
    """The process that asks, where it is known: it came over a Unix socket."""

    def read(self, into: type[T]) -> T:
        """Decode the body, JSON of this type. No body at all counts as an empty object.

        Raises :class:`ClientProtocolError`, in one line, where it is something else.
        """
        try:
            return msgspec.json.decode(self.body or b"{}", type=into)
        except JSON_ERRORS as error:
            why = "it is too deep" if isinstance(error, RecursionError) else str(error)
            raise ClientProtocolError(
                f"the request's body is not what is taken here: {why}"
            ) from None

    def header(self, name: bytes) -> str | None:
        """Return the first header of this name."""
        for each, value in self.headers:
            if each == name:
                return value.decode("latin-1")
        return None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is answered with."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    """Those that tell the body's length are added."""
    body: bytes | AsyncIterator[bytes] = b""
    """All of it, or its pieces as they come to be. An iterator is asked for the next piece when
    the system has taken the last one; it is cancelled when the client hangs up, and closed in the
    end, where it can be. What it raises can be told to nobody: the connection breaks off."""


def json_response(value: object, *headers: tuple[str, str], status: int = 200) -> Response:
    """Answer with a value, as JSON."""
    return Response(
        status=status,
        headers=(("Content-Type", "application/json"), *headers),
        body=msgspec.json.encode(value),
    )


def refusal(
    status: int, why: str, *headers: tuple[str, str], reason: str | None = None
) -> Response:
    """Answer with an error, in the form in which Jupyter's server does.

    ``reason`` is for programs: the kind of error, or what the status is called.
    """
    error = {"message": why, "reason": reason or http.HTTPStatus(status).phrase}
    return json_response(error, *headers, status=status)


Handler = Callable[[Request], Awaitable[Response]]
WebSocketHandler = Callable[[Request, "WebSocket"], Awaitable[None]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers a method on a path. From ``summary`` on: what is told of it (``openapi.py``)."""

    method: str
    path: str
    answer: Handler
    max_body_bytes: int | None = None
    """How large a body it takes. None: 1 MB where the method has one, else 0. What comes where none
    is taken is dropped if it is small."""
    is_public: bool = False
    """Whether it is for who has no token either: a file that everybody may know."""
    summary: str = ""
    """What it does, in one line."""
    takes: Any = None
    """The type of its body, which is JSON. None: it takes none."""
    gives: Any = None
    """The type of its answer, which is JSON; or ``bytes``, a file, or ``str``, a page. None: it has
    no content."""
    status: int | None = None
    """That of its answer. None: 200, or 204 where there is no content."""
    query: dict[str, str] = {}
    """The parameters that it reads, and what each is for."""
    refuses: tuple[int, ...] = ()
    """What else it may answer with, besides what any route of its kind may."""

    @property
    def changes(self) -> bool:
        """Whether it does something, so that who may only look is refused."""
        return self.method not in _HARMLESS

    @property
    def body_bytes(self) -> int:
        """How large a body it takes."""
        if self.max_body_bytes is not None:
            return self.max_body_bytes
        return MAX_BODY_BYTES if self.method in _WITH_A_BODY else 0


class WebSocketRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Who talks on a WebSocket. When it returns, the WebSocket is closed."""

    path: str
    talk: WebSocketHandler
    admit: Callable[[Request], Response | None] = lambda request: None
    """Returns how a handshake is refused, if it is."""
    max_message_bytes: int = 1024 * 1024
    """What a client may send at once; past it, the WebSocket is closed."""
    subprotocols: tuple[str, ...] = ()
    """What is spoken, best first; where a client offers none of them, none is chosen."""
    summary: str = ""
    query: dict[str, str] = {}
    """These as for a :class:`Route`."""


def request_of(head: h11.Request) -> Request:
    """Take a request's head apart. Raises :class:`ClientProtocolError`."""
    target = head.target.decode("latin-1")
    if not target.startswith("/"):
        raise ClientProtocolError("malformed request: its target is no path")
    path, _, query = target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise ClientProtocolError("malformed request: it has too many parameters") from None
    method = head.method.decode("ascii")
    headers = tuple(head.headers)
    upgrades = method == "GET" and head.http_version == b"1.1"
    for name, wanted in ((b"connection", "upgrade"), (b"upgrade", "websocket")):
        values = ",".join(value.decode("latin-1") for each, value in headers if each == name)
        upgrades &= wanted in [value.strip() for value in values.lower().split(",")]
    return Request(
        method=WEBSOCKET if upgrades else method,
        path=tuple(unquote(part) for part in path[1:].split("/")),
        query=dict(reversed(pairs)),
        headers=headers,
    )


class Routes:
    """The table."""

    def __init__(self, routes: Sequence[Route | WebSocketRoute]) -> None:
        self._routes = [(tuple(route.path[1:].split("/")), route) for route in routes]

    def find(self, request: Request) -> tuple[Route | WebSocketRoute, dict[str, str]] | Response:
        """Return who answers a request, and what stands in the places of its path.

        Where nobody does, the response that says so. Who answers GET answers HEAD; OPTIONS is
        answered for all.
        """
        there: list[str] = []
        for pattern, route in self._routes:
            places = _match(pattern, request.path)
            if places is None:
                continue
            method = WEBSOCKET if isinstance(route, WebSocketRoute) else route.method
            if request.method == method or (request.method == "HEAD" and method == "GET"):
                return route, places
            there.append(method)
        if not there:
            return refusal(404, "there is nothing at this path")
        if request.method == "OPTIONS":
            return Response(status=204, headers=(("Allow", _allowed(there)),))
        if there == [WEBSOCKET] and request.method in ("GET", "HEAD"):
            return refusal(426, "this path is for a WebSocket", ("Upgrade", "websocket"))
        names = ", ".join("WebSockets" if each == WEBSOCKET else each for each in there)
        return refusal(405, f"this path takes {names}", ("Allow", _allowed(there)))


def _allowed(methods: list[str]) -> str:
    """Write the methods of a path for the header ``Allow``."""
    names = ["GET" if method == WEBSOCKET else method for method in methods]
    if "GET" in methods:
        names.append("HEAD")
    return ", ".join(dict.fromkeys([*names, "OPTIONS"]))


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(path):
        return None
    places = {}
    for wanted, part in zip(pattern, path, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            places[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return places
