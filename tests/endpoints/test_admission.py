"""Who may come in over HTTP."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.endpoints.admission import Admission
from proxy.endpoints.routes import request_of

ADMISSION = Admission("s3cret", "192.0.2.7", origins=["https://notebooks.example"])


def refused(target: str = "/?token=s3cret", **headers: str) -> str | None:
    fields = {"host": "127.0.0.1:8000"} | headers
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    request = request_of(h11.Request(method="GET", target=target, headers=pairs))
    response = ADMISSION.refusal_of(request)
    if response is None:
        return None
    assert response.status == 403
    return response.body.decode()


def test_who_has_the_token_comes_in() -> None:
    assert refused("/?token=s3cret") is None
    assert refused("/", authorization="token s3cret") is None
    assert refused("/", authorization="Bearer s3cret") is None


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/", {}),
        ("/?token=", {}),
        ("/?token=s3cre", {}),
        ("/?token=S3CRET", {}),
        ("/?token=%C3%A4", {}),
        ("/?token=wrong&token=s3cret", {}),
        ("/", {"authorization": "s3cret"}),
        ("/", {"authorization": "Basic s3cret"}),
        ("/", {"cookie": "token=s3cret"}),
        ("/?token=s3cret", {"authorization": "token wrong"}),
    ],
)
def test_who_does_not_stays_outside(target: str, headers: dict[str, str]) -> None:
    assert "token" in (refused(target, **headers) or "")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8888", "127.0.0.1", "127.0.0.1:1", "[::1]:8000", "192.0.2.7:80"],
)
def test_this_machine_may_be_called_by_its_address(host: str) -> None:
    assert refused(host=host) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example:8000", "127.0.0.1.nip.io", "", "[", "192.0.2.8"],
)
def test_a_name_of_somebody_else_that_leads_here_is_refused(host: str) -> None:
    """DNS rebinding: the page that asks is of the same origin, for its browser."""
    assert "address" in (refused(host=host) or "")


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:8000",
        "http://localhost:8888",
        "https://[::1]",
        "https://notebooks.example",
    ],
)
def test_pages_of_this_machine_are_welcome(origin: str) -> None:
    assert refused(origin=origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost.evil.example",
        "https://notebooks.example:444",
        "null",
        "file://localhost",
        "",
        "http://",
        "http://[",
        "localhost",
    ],
)
def test_pages_from_elsewhere_are_not_even_with_the_token(origin: str) -> None:
    assert "origin" in (refused(origin=origin) or "")


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
def test_any_header_is_a_yes_or_a_no(text: str) -> None:
    refused(host=text.strip(), origin=text.strip(), authorization=text.strip())


def asked(target: str = "/", **headers: str) -> tuple[int, dict[str, str]] | None:
    """What a browser is told that asks whether a page may."""
    fields = {"host": "localhost", "access-control-request-method": "PUT"} | headers
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items() if value]
    request = request_of(h11.Request(method="OPTIONS", target=target, headers=pairs))
    response = ADMISSION.preflight_of(request)
    return None if response is None else (response.status, dict(response.headers))


def test_a_browser_may_ask_without_the_token() -> None:
    found = asked(origin="https://notebooks.example")
    assert found is not None
    assert found[0] == 204
    assert "PUT" in found[1]["Access-Control-Allow-Methods"]
    assert asked("/elsewhere", origin="https://notebooks.example") == found


@pytest.mark.parametrize("headers", [{"origin": "null"}, {"host": "evil.example"}])
def test_a_browser_that_asks_for_somebody_else_is_refused(headers: dict[str, str]) -> None:
    found = asked(**({"origin": "http://localhost:1"} | headers))
    assert found is not None
    assert found[0] == 403


def test_options_is_not_always_a_browsers_question() -> None:
    assert asked() is None, "it comes from no page"
    assert asked(origin="http://localhost:1", **{"access-control-request-method": ""}) is None
