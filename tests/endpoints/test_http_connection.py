"""Requests and answers in turn on one connection: over TCP, a Unix socket and TLS."""

from __future__ import annotations

import pytest
import trio

from proxy.endpoints import http_responses
from proxy.endpoints.routes import Request, Response, Route
from proxy.errors import (
    ClientProtocolError,
    ConfigError,
    Conflict,
    DiskFull,
    KernelGone,
    KmuxError,
    NotFound,
    StoreError,
)
from tests.endpoints.http_client import (
    ECHO,
    GREET,
    REPEAT,
    OpenFront,
    describe,
    open_front,
)


async def test_a_page_is_served_and_the_connection_is_used_again(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GREET) as scene, scene.client() as client:
        for name in ("alice", "bob"):
            answer = await client.get(f"/hello/{name}")
            assert (answer.status, answer.body) == (200, f"hello {name}".encode())
        assert answer.headers["content-length"] == "9"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer", "a URL may have the token"
        assert scene.front.connections == 1
        assert not scene.rejections


async def test_head_is_get_without_the_page() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
        answer = await client.get("/hello/alice", method="HEAD")
        assert (answer.status, answer.headers["content-length"], answer.body) == (200, "11", b"")
        assert (await client.get("/hello/bob")).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_each_method_has_its_answer(method: str, open_anywhere: OpenFront) -> None:
    thing = Route(method=method, path="/thing", answer=describe)
    body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
    async with open_anywhere(thing) as scene, scene.client() as client:
        for _ in range(2):
            answer = await client.ask(method, "/thing", body)
            assert answer.status == 200
            if method != "HEAD":
                assert f'"method":"{method}","bytes":{len(body)}'.encode() in answer.body
        assert scene.front.connections == 1


async def test_questions_that_come_at_once_are_answered_in_turn(open_anywhere: OpenFront) -> None:
    """Pipelining: the next request begins where the body ends, to the byte."""
    questions = b"".join(
        b"POST /repeat?token=secret HTTP/1.1\r\nhost: localhost\r\n%s\r\n\r\n%s" % each
        for each in (
            (b"content-length: 5", b"alice"),
            (b"transfer-encoding: chunked", b"2\r\nbo\r\n1\r\nb\r\n0\r\n\r\n"),
            (b"content-length: 0", b""),
            (b"x: y", b""),
            (b"content-length: 4", b"GET "),
        )
    )
    async with open_anywhere(REPEAT, GREET) as scene, scene.client() as client:
        await client.say(questions + client.question("GET", "/hello/carol"))
        answers = [await client.answer() for _ in range(6)]
        assert [answer.body for answer in answers] == [
            b"alice",
            b"bob",
            b"",
            b"",
            b"GET ",
            b"hello carol",
        ]


async def test_who_wants_the_connection_closed_gets_it_closed(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GREET) as scene, scene.client() as client:
        assert (await client.get("/hello/alice", connection="close")).status == 200
        assert await client.is_hung_up()


async def test_nothing_at_a_path_and_other_methods() -> None:
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        assert (await client.get("/nothing")).error == (
            "there is nothing at this path",
            "Not Found",
        )
        answer = await client.get("/hello/alice", method="DELETE")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await client.get("/talk")).status == 426
        answer = await client.get("/hello/alice", method="OPTIONS")
        assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
        assert "content-length" not in answer.headers, "RFC 9110, 8.6"
        assert (await client.get("/hello/alice")).status == 200


MALFORMED = [
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS"),
    pytest.param(b"hello\r\n\r\n", 400, id="no request"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
    pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, id="two hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400, id="a blank in a name"),
    pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\x00: b\r\n\r\n", 400, id="a zero byte"),
    pytest.param(b"GET http://a/ HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, id="a whole URL"),
    pytest.param(b"CONNECT a:1 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, id="a tunnel"),
    pytest.param(
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", 400, id="a length of x"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        400,
        id="two lengths",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        400,
        id="a length and chunks",
    ),
    pytest.param(b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n", 431, id="a long path"),
    pytest.param(b"GET / HTTP/1.1\r\na: " + b"b" * 40_000, 431, id="a long header"),
    pytest.param(
        b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 501, id="a coding"
    ),
]


@pytest.mark.parametrize(("said", "status"), MALFORMED)
async def test_a_malformed_request_is_answered_and_hung_up_on(
    said: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_responses, "LINGER_SECONDS", 0.05)
    async with open_front(GREET) as scene, scene.client() as client:
        await client.say(said)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert answer.error[0].startswith("malformed request: ")
        assert await client.is_hung_up()
        assert str(await scene.rejections.next()).startswith("malformed request: ")
        async with scene.client() as other:
            assert (await other.get("/hello/bob")).status == 200
        assert not scene.failures


@pytest.mark.parametrize(
    "said",
    [
        b"GET /hello/alice?token=secret HTTP/11\r\n\r\n",
        b"GET / HTTP/1.1\r\nauthorization: token secret\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nauthorization : token secret\r\n\r\n",
    ],
)
async def test_what_is_reported_of_a_malformed_request_has_no_token(said: bytes) -> None:
    """It may be the right one, and goes into the log."""
    async with open_front(GREET) as scene:
        async with scene.client() as client:
            await client.say(said)
            assert b"secret" not in (await client.answer()).body
        assert "secret" not in str(await scene.rejections.next())


# What those raise who answer


class Gone(KernelGone):
    """A kind of somebody else's."""


ERRORS = [
    (ClientProtocolError("it has no name"), 400, "ClientProtocolError", False),
    (ConfigError("choose another name"), 400, "ConfigError", False),
    (NotFound("there is no such kernel"), 404, "NotFound", False),
    (Conflict("it is starting"), 409, "Conflict", False),
    (Gone("it died"), 503, "KernelGone", False),
    (StoreError("the blob is damaged"), 500, "StoreError", True),
    (DiskFull("free some space"), 507, "DiskFull", True),
    (KmuxError("something"), 500, "KmuxError", True),
]


@pytest.mark.parametrize("in_a_nursery", [False, True])
@pytest.mark.parametrize(("error", "status", "kind", "reported"), ERRORS)
async def test_an_error_is_told_by_status_line_and_kind(
    error: KmuxError, status: int, kind: str, reported: bool, in_a_nursery: bool
) -> None:
    async def stumble(request: Request) -> Response:
        if not in_a_nursery:
            raise error
        async with trio.open_nursery():
            raise error

    stumbling = Route(method="POST", path="/stumble", answer=stumble)
    async with open_front(stumbling, GREET) as scene, scene.client() as client:
        answer = await client.ask("POST", "/stumble", b"{}")
        assert (answer.status, answer.error) == (status, (str(error), kind))
        assert scene.failures.items == ([error] if reported else [])
        assert (await client.get("/hello/alice")).status == 200, "the connection goes on"
        assert not scene.rejections


async def test_a_bug_in_who_answers_is_reported_and_not_told() -> None:
    async def stumble(request: Request) -> Response:
        raise ZeroDivisionError("secret")

    stumbling = Route(method="GET", path="/stumble", answer=stumble)
    async with open_front(stumbling, GREET) as scene, scene.client() as client:
        answer = await client.get("/stumble")
        assert answer.status == 500
        assert answer.error == ("something failed here; the log has what", "InternalError")
        assert isinstance(await scene.failures.next(), ZeroDivisionError)
        assert (await client.get("/hello/alice")).status == 200
