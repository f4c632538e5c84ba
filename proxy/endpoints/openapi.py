"""The OpenAPI document of a table of routes: made of the table, so it says what there is.

What an application adds is in its routes (:class:`Route`, from ``summary`` on). What every route
has in common is here: errors have one form, a token comes in one of two places, and who has that
for looking may ask for what changes nothing. A WebSocket, for which OpenAPI has no words, is a GET
that is answered with 101.
"""

from __future__ import annotations

import http
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.endpoints.routes import Route, WebSocketRoute

VERSION = "3.1.1"
JSON = "application/json"
ALWAYS = (400, 403)
"""Malformed; not let in, or not to do that."""
WITH_PLACES = (404,)
WITH_A_BODY = (408, 413)
OF_A_WEBSOCKET = (426,)

_PLACE = re.compile(r"\{(\w+)\}")
_SCHEMAS = "#/components/schemas/{name}"
_REFUSALS = "#/components/responses/{status}"
_OWNER = ("token", "tokenInQuery")
_ONLOOKER = ("readOnlyToken", "readOnlyTokenInQuery")

Json = dict[str, Any]


class Error(msgspec.Struct, frozen=True):
    """Why a request is refused, or what went wrong: in one line, and its kind, for programs."""

    message: str
    reason: str


def document(
    routes: Sequence[Route | WebSocketRoute], *, title: str, version: str, description: str
) -> Json:
    """Describe all routes."""
    types = [Error, *(kind for route in routes for kind in _types(route))]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    schema_of = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, Json] = {}
    refusals: set[int] = set()
    for route in routes:
        method = "get" if isinstance(route, WebSocketRoute) else route.method.lower()
        paths.setdefault(route.path, {})[method] = _operation(route, method, schema_of)
        refusals |= set(_refusals(route))
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version, "description": description},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _refusal(status) for status in sorted(refusals)},
            "securitySchemes": _security_schemes(),
        },
    }


def _types(route: Route | WebSocketRoute) -> list[Any]:
    """Return the types of which a route's JSON is."""
    if isinstance(route, WebSocketRoute):
        return []
    return [kind for kind in (route.takes, route.gives) if kind not in (None, bytes, str)]


def _operation(route: Route | WebSocketRoute, method: str, schema_of: dict[str, Json]) -> Json:
    words = re.findall(r"\w+", route.path)
    operation: Json = {
        "operationId": "_".join([method, *words]),
        "summary": route.summary,
        "tags": words[:1],
        "parameters": [*map(_place, _PLACE.findall(route.path)), *_query(route)],
    }
    if isinstance(route, Route) and route.takes is not None:
        operation["requestBody"] = {
            "required": _must_be_sent(route.takes),
            "content": {JSON: {"schema": schema_of[repr(route.takes)]}},
        }
    refusals = {str(each): {"$ref": _REFUSALS.format(status=each)} for each in _refusals(route)}
    operation["responses"] = _answer(route, schema_of) | refusals
    changes = isinstance(route, Route) and route.changes
    operation["security"] = [{name: []} for name in _OWNER + (() if changes else _ONLOOKER)]
    if isinstance(route, Route) and route.is_public:
        operation["security"] = []
    return operation


def _place(name: str) -> Json:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: Route | WebSocketRoute) -> list[Json]:
    return [
        {"name": name, "in": "query", "description": what, "schema": {"type": "string"}}
        for name, what in route.query.items()
    ]


def _answer(route: Route | WebSocketRoute, schema_of: dict[str, Json]) -> Json:
    """Describe what a route answers when it does what it is for."""
    if isinstance(route, WebSocketRoute):
        names = " or ".join([*route.subprotocols, "none"])
        return {"101": {"description": f"A WebSocket; its subprotocol is {names}"}}
    status = route.status or (204 if route.gives is None else 200)
    answer: Json = {"description": http.HTTPStatus(status).phrase}
    if route.gives is bytes:
        answer["content"] = {"*/*": {}}
    elif route.gives is str:
        answer["content"] = {"text/html": {}}
    elif route.gives is not None:
        answer["content"] = {JSON: {"schema": schema_of[repr(route.gives)]}}
    return {str(status): answer}


def _must_be_sent(takes: Any) -> bool:
    """Whether no body is not as good as an empty object (:meth:`Request.read`)."""
    try:
        msgspec.json.decode(b"{}", type=takes)
    except msgspec.ValidationError:
        return True
    return False


def _refusals(route: Route | WebSocketRoute) -> list[int]:
    """Return the statuses with which a route may refuse."""
    statuses = [*ALWAYS, *(WITH_PLACES if "{" in route.path else ())]
    if isinstance(route, WebSocketRoute):
        statuses += OF_A_WEBSOCKET
    else:
        statuses += route.refuses + (WITH_A_BODY if route.takes is not None else ())
    return sorted(set(statuses))


def _refusal(status: int) -> Json:
    schema = {"$ref": _SCHEMAS.format(name=Error.__name__)}
    return {
        "description": http.HTTPStatus(status).phrase,
        "content": {JSON: {"schema": schema}},
    }


def _security_schemes() -> Json:
    def twice(names: tuple[str, str], what: str) -> Json:
        return {
            names[0]: {"type": "http", "scheme": "bearer", "description": what},
            names[1]: {"type": "apiKey", "in": "query", "name": "token", "description": what},
        }

    return twice(_OWNER, "The token, which is for everything.") | twice(
        _ONLOOKER, "The read-only token: what changes anything is answered with 403."
    )
