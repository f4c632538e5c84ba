"""Requests, and who answers them."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.endpoints.routes import (
    WEBSOCKET,
    Request,
    Response,
    Route,
    Routes,
    WebSocketRoute,
    request_of,
)
from proxy.endpoints.websocket import WebSocket
from proxy.errors import ClientProtocolError


async def answer(request: Request) -> Response:
    return Response()


async def talk(request: Request, socket: WebSocket) -> None: ...


GET = Route(method="GET", path="/blobs/{sha256}", answer=answer)
POST = Route(method="POST", path="/blobs/{sha256}", answer=answer)
ROOT = Route(method="GET", path="/", answer=answer)
TALK = WebSocketRoute(path="/sync", talk=talk)
ROUTES = Routes([GET, POST, ROOT, TALK])


def head(target: str, method: str = "GET", version: str = "1.1", **headers: str) -> Request:
    pairs = [("host", "localhost"), *headers.items()]
    return request_of(
        h11.Request(method=method, target=target, headers=pairs, http_version=version)
    )


def status(request: Request) -> int:
    found = ROUTES.find(request)
    assert isinstance(found, Response)
    return found.status


def test_a_path_leads_to_who_answers_with_what_stands_in_its_places() -> None:
    assert ROUTES.find(head("/blobs/ab12")) == (GET, {"sha256": "ab12"})
    assert ROUTES.find(head("/blobs/ab12", "POST")) == (POST, {"sha256": "ab12"})
    assert ROUTES.find(head("/?x=1")) == (ROOT, {})


def test_who_answers_get_answers_head() -> None:
    assert ROUTES.find(head("/blobs/ab12", "HEAD")) == (GET, {"sha256": "ab12"})


@pytest.mark.parametrize("path", ["/blobs/", "/blobs", "/blobs/a/b", "/nothing", "//blobs/a"])
def test_other_paths_lead_nowhere(path: str) -> None:
    assert status(head(path)) == 404


def test_another_method_is_told_which_there_are() -> None:
    found = ROUTES.find(head("/blobs/ab12", "DELETE"))
    assert isinstance(found, Response)
    assert found.status == 405
    assert ("Allow", "GET, POST, HEAD, OPTIONS") in found.headers


def test_options_tells_which_methods_there_are() -> None:
    for path, methods in (
        ("/blobs/ab12", "GET, POST, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
        ("/sync", "GET, OPTIONS"),
    ):
        found = ROUTES.find(head(path, "OPTIONS"))
        assert isinstance(found, Response)
        assert (found.status, found.headers) == (204, (("Allow", methods),))
    assert status(head("/nothing", "OPTIONS")) == 404


@pytest.mark.parametrize(
    ("method", "told", "taken"),
    [
        ("POST", None, 1024 * 1024),
        ("PUT", None, 1024 * 1024),
        ("PATCH", None, 1024 * 1024),
        ("GET", None, 0),
        ("DELETE", None, 0),
        ("DELETE", 10, 10),
        ("POST", 0, 0),
    ],
)
def test_how_large_a_body_a_route_takes(method: str, told: int | None, taken: int) -> None:
    route = Route(method=method, path="/", answer=answer, max_body_bytes=told)
    assert route.body_bytes == taken


def test_a_slash_that_is_written_as_a_character_is_no_slash() -> None:
    assert ROUTES.find(head("/blobs/a%2Fb%20c")) == (GET, {"sha256": "a/b c"})


def test_an_upgrade_is_a_method_of_its_own() -> None:
    upgrade = head("/sync", connection="keep-alive, Upgrade", upgrade="websocket")
    assert upgrade.method == WEBSOCKET
    assert ROUTES.find(upgrade) == (TALK, {})
    assert status(head("/sync")) == 426
    assert status(head("/sync", method="HEAD")) == 426
    assert status(head("/sync", method="POST")) == 405, "it would not do with an upgrade either"
    assert status(head("/blobs/a", connection="Upgrade", upgrade="websocket")) == 405


@pytest.mark.parametrize(
    "options",
    [
        {"version": "1.0", "connection": "upgrade", "upgrade": "websocket"},
        {"method": "POST", "connection": "upgrade", "upgrade": "websocket"},
        {"connection": "close", "upgrade": "websocket"},
        {"connection": "upgrade", "upgrade": "h2c"},
    ],
)
def test_half_an_upgrade_is_none(options: dict[str, str]) -> None:
    assert head("/sync", **options).method != WEBSOCKET


def test_of_two_values_the_first_counts() -> None:
    assert head("/?token=a&token=b&empty=").query == {"token": "a", "empty": ""}


@pytest.mark.parametrize("target", ["http://elsewhere/", "*", "/?" + "a=1&" * 101])
def test_a_target_that_is_no_path_or_too_much_is_refused(target: str) -> None:
    with pytest.raises(ClientProtocolError):
        head(target)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60))
def test_any_target_leads_somewhere_or_is_refused(target: str) -> None:
    try:
        ROUTES.find(head("/" + target))
    except ClientProtocolError as error:
        assert "\n" not in str(error)
