"""The HTTP front, with real connections."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.endpoints import web
from proxy.endpoints.routes import Request, Response, Route
from proxy.endpoints.web import WebFront
from proxy.errors import ConfigError
from tests.endpoints.http_client import ECHO, GREET, TOKEN, WebScene, open_front
from tests.inbox import DEADLINE_SECONDS, eventually


async def test_a_page_is_served_and_the_connection_is_used_again() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
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


async def test_two_questions_at_once_are_answered_in_turn() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
        await client.say(
            b"".join(
                b"GET /hello/%s?token=%s HTTP/1.1\r\nhost: localhost\r\n\r\n" % (name, b"secret")
                for name in (b"alice", b"bob")
            )
        )
        assert (await client.answer()).body == b"hello alice"
        assert (await client.answer()).body == b"hello bob"


async def test_who_wants_the_connection_closed_gets_it_closed() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
        assert (await client.get("/hello/alice", connection="close")).status == 200
        assert await client.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)


async def test_a_stranger_learns_nothing() -> None:
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        for target in ("/hello/alice", "/nothing", "/talk"):
            answer = await client.get(target, authorization="")
            assert (answer.status, b"token" in answer.body) == (403, True)
        answer = await client.get("/hello/alice", host="evil.example")
        assert answer.status == 403
        answer = await client.get("/hello/alice", origin="https://evil.example")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


async def test_a_page_on_another_port_of_this_machine_may_read() -> None:
    async with open_front(GREET) as scene, scene.client() as client:
        answer = await client.get("/hello/alice", origin="http://localhost:8888")
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "http://localhost:8888"
        assert answer.headers["vary"] == "Origin"


async def test_nothing_at_a_path_and_other_methods() -> None:
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        assert (await client.get("/nothing")).status == 404
        answer = await client.get("/hello/alice", method="DELETE")
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
        assert (await client.get("/talk")).status == 426


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
    pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345", 400, id="a body"),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
        400,
        id="a body in chunks",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
        400,
        id="a body that asks first",
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
    monkeypatch.setattr(web, "LINGER_SECONDS", 0.05)
    async with open_front(GREET) as scene, scene.client() as client:
        await client.say(said)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.is_hung_up()
        assert str(await scene.rejections.next()).startswith("malformed request")
        async with scene.client() as other:
            assert (await other.get("/hello/bob")).status == 200
        assert not scene.failures


async def test_garbage_harms_nobody() -> None:
    async with open_front(GREET, ECHO) as scene:

        @settings(max_examples=200)
        @given(st.binary(max_size=300))
        def throw(data: bytes) -> None:
            with socket.create_connection(("127.0.0.1", scene.front.port), timeout=5) as thrower:
                thrower.sendall(data)

        await trio.to_thread.run_sync(throw)
        async with scene.client() as client:
            assert (await client.get("/hello/alice")).status == 200
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


async def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.05)
    async with open_front(GREET) as scene:
        async with scene.client() as silent, scene.client() as slow:
            await slow.say(b"GET / HT")
            assert await silent.is_hung_up()
            assert await slow.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.rejections


async def test_who_asks_in_drops_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for a whole head, not for each piece of it."""
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.3)
    async with open_front(GREET) as scene, scene.client() as client:
        with trio.fail_after(DEADLINE_SECONDS), suppress(trio.BrokenResourceError):
            while True:
                await client.say(b"G")
                await trio.sleep(0.02)


async def test_who_does_not_read_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.1)

    async def fill(request: Request) -> Response:
        return Response(body=bytes(50_000_000))

    fills = Route(method="GET", path="/", answer=fill)
    async with open_front(fills) as scene, scene.client() as client:
        await client.say(b"GET /?token=secret HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert "did not read" in str(await scene.rejections.next())
        await eventually(lambda: scene.front.connections == 0)


async def test_a_large_page_comes_whole() -> None:
    async def fill(request: Request) -> Response:
        return Response(body=b"0123456789" * 1_000_000)

    fills = Route(method="GET", path="/", answer=fill)
    async with open_front(fills) as scene, scene.client() as client:
        assert (await client.get("/")).body == b"0123456789" * 1_000_000


async def test_too_many_connections_are_told_so() -> None:
    async with open_front(GREET, max_connections=2) as scene:
        async with scene.client() as first, scene.client() as second:
            assert (await first.get("/hello/alice")).status == 200
            assert (await second.get("/hello/alice")).status == 200
            async with scene.client() as third:
                assert (await third.answer()).status == 503
                assert await third.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        async with scene.client() as fourth:
            assert (await fourth.get("/hello/alice")).status == 200


async def test_a_bug_in_who_answers_is_reported_and_the_connection_lives() -> None:
    async def stumble(request: Request) -> Response:
        raise ZeroDivisionError

    stumbling = Route(method="GET", path="/stumble", answer=stumble)
    async with open_front(stumbling, GREET) as scene, scene.client() as client:
        answer = await client.get("/stumble")
        assert answer.status == 500
        assert b"Zero" not in answer.body
        assert isinstance(await scene.failures.next(), ZeroDivisionError)
        assert (await client.get("/hello/alice")).status == 200


async def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    async with open_front() as scene:
        second = WebFront([], scene, token=TOKEN, port=scene.front.port)
        with pytest.raises(ConfigError, match=f"port {scene.front.port}: .*choose another"):
            await second.serve()


async def test_the_same_port_can_be_had_again_at_once() -> None:
    port = 0
    for _ in range(3):
        async with open_front(GREET, port=port) as scene, scene.client() as client:
            port = scene.front.port
            assert (await client.get("/hello/alice")).status == 200


async def test_connections_end_with_the_front() -> None:
    scene: WebScene
    async with open_front(GREET) as scene:
        stream = await trio.open_tcp_stream("127.0.0.1", scene.front.port)
        await eventually(lambda: scene.front.connections == 1)
    async with stream:
        with trio.fail_after(5):
            try:
                assert await stream.receive_some(1) == b""
            except trio.BrokenResourceError:
                pass
    assert scene.front.connections == 0


async def test_an_address_of_version_six_stands_in_brackets() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with open_front(GREET, address="::1") as scene:
        assert scene.front.netloc == f"[::1]:{scene.front.port}"
        stream = await trio.open_tcp_stream("::1", scene.front.port)
        await stream.aclose()
