"""The OpenAPI document of a table."""

from __future__ import annotations

from typing import Any

import msgspec
import schemathesis

from proxy.endpoints.openapi import document
from proxy.endpoints.routes import Route, WebSocketRoute
from tests.endpoints.http_client import echo, greet


class Wish(msgspec.Struct):
    """What somebody wants."""

    what: str
    how_many: int = 1


class Thing(msgspec.Struct):
    """What there is."""

    name: str


def described(*routes: Route | WebSocketRoute) -> dict[str, Any]:
    whole = document(routes, title="test", version="1", description="of a test")
    schemathesis.openapi.from_dict(whole).validate()
    return whole


def operation(route: Route | WebSocketRoute) -> dict[str, Any]:
    (methods,) = described(route)["paths"].values()
    (found,) = methods.values()
    return dict(found)


def test_a_table_of_nothing() -> None:
    assert described()["paths"] == {}


def test_what_a_route_takes_and_gives() -> None:
    make = Route(
        method="POST",
        path="/things",
        answer=greet,
        summary="Make a thing.",
        takes=Wish,
        gives=Thing,
        status=201,
        refuses=(409,),
    )
    found = operation(make)
    assert found["summary"] == "Make a thing."
    body = found["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Wish"}
    assert set(found["responses"]) == {"201", "400", "403", "408", "409", "413"}
    schema = found["responses"]["201"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Thing"}
    wish = described(make)["components"]["schemas"]["Wish"]
    assert wish["required"] == ["what"]
    assert wish["description"] == "What somebody wants."


def test_an_answer_may_be_a_list_a_file_a_page_or_nothing() -> None:
    def content(gives: Any) -> Any:
        responses = operation(Route(method="GET", path="/", answer=greet, gives=gives))["responses"]
        return {status: each.get("content") for status, each in responses.items() if status < "4"}

    items = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    assert content(list[Thing]) == {"200": {"application/json": {"schema": items}}}
    assert content(bytes) == {"200": {"*/*": {}}}
    assert content(str) == {"200": {"text/html": {}}}
    assert content(None) == {"204": None}


def test_places_and_parameters() -> None:
    route = Route(
        method="GET", path="/things/{name}/{part}", answer=greet, query={"all": "Everything."}
    )
    found = operation(route)
    assert [(each["name"], each["in"]) for each in found["parameters"]] == [
        ("name", "path"),
        ("part", "path"),
        ("all", "query"),
    ]
    assert "404" in found["responses"]


def test_a_body_that_may_be_empty_may_be_left_out() -> None:
    class Change(msgspec.Struct):
        name: str | None = None

    route = Route(method="PATCH", path="/", answer=greet, takes=Change, gives=Thing)
    assert not operation(route)["requestBody"]["required"]


def test_who_may_only_look_may_ask_for_what_changes_nothing() -> None:
    def schemes(route: Route | WebSocketRoute) -> set[str]:
        return {name for each in operation(route)["security"] for name in each}

    owner = {"token", "tokenInQuery"}
    onlooker = {"readOnlyToken", "readOnlyTokenInQuery"}
    assert schemes(Route(method="GET", path="/", answer=greet)) == owner | onlooker
    assert schemes(Route(method="DELETE", path="/", answer=greet)) == owner
    assert schemes(WebSocketRoute(path="/", talk=echo)) == owner | onlooker


def test_a_websocket_is_a_get_that_is_answered_with_101() -> None:
    route = WebSocketRoute(path="/{id}", talk=echo, subprotocols=("v1",), summary="Talk.")
    found = operation(route)
    assert set(found["responses"]) == {"101", "400", "403", "404", "426"}
    assert "v1" in found["responses"]["101"]["description"]


def test_methods_of_one_path_are_together() -> None:
    routes = [Route(method=method, path="/things", answer=greet) for method in ("GET", "POST")]
    assert set(described(*routes)["paths"]["/things"]) == {"get", "post"}
