"""Bodies of requests: of any size, cut anywhere, sent slowly, or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.endpoints import http_requests, http_responses
from proxy.endpoints.http_connection import HttpConnection
from proxy.endpoints.http_requests import BODY_BYTES_PER_SECOND, BODY_SECONDS, DROPPED_BYTES
from proxy.endpoints.routes import MAX_BODY_BYTES, Request, Response, Route, Routes, json_response
from proxy.errors import ClientProtocolError
from tests.endpoints.http_client import GREET, REPEAT, HttpClient, OpenFront, open_front, repeat
from tests.inbox import DEADLINE_SECONDS, Inbox, eventually

SMALL = Route(method="POST", path="/small", answer=repeat, max_body_bytes=10)
LARGE = Route(method="PUT", path="/large", answer=repeat, max_body_bytes=20_000_000)
NONE = Route(method="POST", path="/none", answer=repeat, max_body_bytes=0)


class Nobody:
    """What a connection reports goes nowhere; it raises the rest."""

    def rejected(self, error: ClientProtocolError) -> None: ...

    def failed(self, error: Exception) -> None: ...


@asynccontextmanager
async def open_connection(
    client: trio.abc.Stream, server: trio.abc.Stream, *routes: Route
) -> AsyncIterator[tuple[HttpClient, Inbox[Exception]]]:
    """A connection without a socket, and what ended it."""
    ended: Inbox[Exception] = Inbox()

    async def serve() -> None:
        try:
            await HttpConnection(server, Routes(routes), Nobody(), admission=None).serve()
        except Exception as error:
            ended.put(error)
        await server.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield HttpClient(0, client), ended
        nursery.cancel_scope.cancel()


# Sizes


@pytest.mark.parametrize("size", [0, 1, 1000, MAX_BODY_BYTES - 1, MAX_BODY_BYTES])
async def test_a_body_is_taken_whole(size: int, open_anywhere: OpenFront) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    async with open_anywhere(REPEAT) as scene, scene.client() as client:
        answer = await client.ask("POST", "/repeat", body[:size])
        assert (answer.status, answer.body) == (200, body[:size])
        answer = await client.ask("POST", "/repeat", [body[: size // 2], body[size // 2 : size]])
        assert (answer.status, answer.body) == (200, body[:size])
        assert scene.front.connections == 1


async def test_a_route_may_take_more(open_anywhere: OpenFront) -> None:
    body = b"0123456789" * 2_000_000
    async with open_anywhere(LARGE) as scene, scene.client() as client:
        assert (await client.ask("PUT", "/large", body)).body == body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "size"), [("/repeat", MAX_BODY_BYTES + 1), ("/small", 11)])
async def test_a_body_that_is_too_large_is_refused(
    path: str, size: int, chunked: bool, open_anywhere: OpenFront
) -> None:
    async with open_anywhere(REPEAT, SMALL) as scene:
        async with scene.client() as client:
            answer = await client.ask("POST", path, [bytes(size)] if chunked else bytes(size))
            assert (answer.status, answer.headers["connection"]) == (413, "close")
            assert f"at most {size - 1} bytes" in answer.error[0]
            assert await client.is_hung_up()
        assert "too large" in str(await scene.rejections.next())


async def test_what_is_announced_as_too_large_is_refused_before_it_comes() -> None:
    async with open_front(REPEAT) as scene, scene.client() as client:
        await client.say(
            b"POST /repeat?token=secret HTTP/1.1\r\nhost: localhost\r\n"
            b"content-length: 99999999999999999999\r\n\r\n"
        )
        assert (await client.answer()).status == 413


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_where_none_is_taken_a_small_one_is_dropped(method: str) -> None:
    path = "/none" if method == "POST" else "/thing"
    thing = Route(method=method, path=path, answer=repeat, max_body_bytes=0)
    async with open_front(thing) as scene, scene.client() as client:
        for body in (bytes(DROPPED_BYTES), [bytes(DROPPED_BYTES)], b""):
            answer = await client.ask(method, path, body)
            assert (answer.status, answer.body) == (200, b"")
        assert scene.front.connections == 1
        for large in (bytes(DROPPED_BYTES + 1), [bytes(DROPPED_BYTES), b"x"]):
            async with scene.client() as other:
                answer = await other.ask(method, path, large)
                assert answer.status == 413
                if method != "HEAD":
                    assert answer.error[0] == "this path takes no body"
                assert await other.is_hung_up()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/nothing", {}, 404),
        ("PUT", "/repeat", {}, 405),
        ("POST", "/repeat", {"authorization": ""}, 403),
        ("POST", "/repeat", {"host": "evil.example"}, 403),
    ],
)
async def test_who_is_refused_hears_so_and_its_body_is_not_waited_for(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with open_front(REPEAT) as scene, scene.client() as client:
        question = client.question(method, path, bytes(1_000_000), **headers)
        await client.say(question[:2000])
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.is_hung_up()
        assert not scene.rejections, "it did nothing wrong"


async def test_a_refusal_reaches_who_sends_all_of_a_large_body_first(
    open_anywhere: OpenFront,
) -> None:
    """It would be lost if the connection were closed while there is something to read."""
    async with open_anywhere(REPEAT) as scene:
        for _ in range(10):
            async with scene.client() as client:
                assert (await client.ask("POST", "/repeat", bytes(3_000_000))).status == 413


# Who asks first


async def test_who_asks_first_is_told_to_go_on(open_anywhere: OpenFront) -> None:
    async with open_anywhere(REPEAT) as scene, scene.client() as client:
        for _ in range(2):
            question = client.question("POST", "/repeat", b"hello", expect="100-continue")
            head, body = question[:-5], question[-5:]
            await client.say(head)
            assert await client.hear(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.say(body)
            assert (await client.answer()).body == b"hello"


async def test_who_asks_first_and_sends_all_the_same_is_not_told() -> None:
    async with open_front(REPEAT) as scene, scene.client() as client:
        await client.say(client.question("POST", "/repeat", b"hello", expect="100-continue"))
        assert b" 100 " not in await client.hear(b"hello")


@pytest.mark.parametrize(
    ("path", "size", "status"), [("/small", 11, 413), ("/nothing", 5, 404), ("/none", 70_000, 413)]
)
async def test_who_asks_first_need_not_send_what_is_refused(
    path: str, size: int, status: int
) -> None:
    async with open_front(SMALL, NONE) as scene, scene.client() as client:
        question = client.question("POST", path, bytes(size), expect="100-continue")
        await client.say(question[:-size])
        assert (await client.hear(b"}")).startswith(b"HTTP/1.1 %d " % status)
        assert await client.is_hung_up()


# Cuts


@st.composite
def cut(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """Cut bytes into parts."""
    places = draw(st.lists(st.integers(0, len(content)), max_size=12))
    edges = [0, *sorted(places), len(content)]
    return [content[a:b] for a, b in pairwise(edges) if a < b]


@given(st.data())
async def test_it_does_not_matter_how_bytes_and_chunks_are_cut(data: st.DataObject) -> None:
    """Each part is read alone: a stream in lockstep hands it over before the next one is sent."""
    bodies = data.draw(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
    client, server = trio.testing.lockstep_stream_pair()
    async with open_connection(client, server, REPEAT) as (talker, ended):
        wire = b""
        for body in bodies:
            chunks = data.draw(cut(body)) if data.draw(st.booleans()) else None
            writer = HttpClient(0, client)
            wire += writer.question("POST", "/repeat", body if chunks is None else chunks)
        heard: Inbox[bytes] = Inbox()

        async def hear() -> None:
            for _ in bodies:
                heard.put((await talker.answer()).body)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            for part in data.draw(cut(wire)):
                await client.send_all(part)
        assert heard.items == bodies
        assert not ended


@settings(max_examples=20)
@given(
    st.lists(st.binary(min_size=1, max_size=40_000), max_size=20), st.sampled_from(["tcp", "unix"])
)
async def test_chunks_of_any_size_over_real_sockets(chunks: list[bytes], place: str) -> None:
    with tempfile.TemporaryDirectory(prefix="kmux-") as directory:
        options = {"path": Path(directory) / "s"} if place == "unix" else {}
        async with open_front(REPEAT, **options) as scene, scene.client() as client:
            answer = await client.ask("POST", "/repeat", chunks)
            assert (answer.status, answer.body) == (200, b"".join(chunks))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"x\r\nhello\r\n0\r\n\r\n", id="a size that is no number"),
        pytest.param(b"-1\r\n\r\n", id="a size below zero"),
        pytest.param(b"5\r\nhello?", id="more than the size"),
        pytest.param(b"1" * 30 + b"\r\n", id="a size of 30 digits"),
        pytest.param(b"1;" + b"x" * 20_000, id="an endless extension"),
        pytest.param(b"0\r\nx: " + b"y" * 20_000, id="an endless trailer"),
        pytest.param(b"0\r\n\x00\r\n\r\n", id="a trailer that is none"),
    ],
)
async def test_chunks_that_are_none_end_one_connection(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_responses, "LINGER_SECONDS", 0.05)
    async with open_front(REPEAT) as scene, scene.client() as client:
        await client.say(
            b"POST /repeat?token=secret HTTP/1.1\r\nhost: localhost\r\n"
            b"transfer-encoding: chunked\r\n\r\n" + said
        )
        answer = await client.answer()
        assert answer.status in (400, 431)
        assert answer.error[0].startswith("malformed request: ")
        assert await client.is_hung_up()
        assert not scene.failures


async def test_who_breaks_off_in_a_body_is_gone(open_anywhere: OpenFront) -> None:
    asked: Inbox[Request] = Inbox()

    async def note(request: Request) -> Response:
        asked.put(request)
        return Response()

    route = Route(method="POST", path="/note", answer=note)
    async with open_anywhere(route) as scene:
        async with scene.client() as client:
            await client.say(client.question("POST", "/note", b"hello world")[:-3])
        await eventually(lambda: scene.front.connections == 0)
        assert not asked, "half a body is no request"
        assert not scene.failures


# Times


async def test_a_body_in_drops_is_too_slow(autojump_clock: trio.testing.MockClock) -> None:
    """The time is for a whole body, not for each piece of it."""
    client, server = trio.testing.memory_stream_pair()
    async with open_connection(client, server, REPEAT) as (talker, ended):
        question = talker.question("POST", "/repeat", bytes(1000))
        began = trio.current_time()
        await talker.say(question[:-1000])
        while not ended and trio.current_time() < began + BODY_SECONDS - 1:
            await trio.sleep(1)
            await talker.say(b"x")
        assert not ended
        answer = await talker.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert answer.error == ("the request's body took too long", "ClientProtocolError")
        assert trio.current_time() == pytest.approx(began + BODY_SECONDS, abs=0.1)
        assert isinstance(await ended.next(), http_requests.BodyTooSlow)


async def test_a_large_body_has_more_time(autojump_clock: trio.testing.MockClock) -> None:
    client, server = trio.testing.memory_stream_pair()
    async with open_connection(client, server, LARGE) as (talker, ended):
        size = 40 * BODY_BYTES_PER_SECOND
        question = talker.question("PUT", "/large", bytes(size))
        began = trio.current_time()
        for at in range(0, len(question), BODY_BYTES_PER_SECOND):
            await trio.sleep(1.2)
            await talker.say(question[at : at + BODY_BYTES_PER_SECOND])
        assert len((await talker.answer()).body) == size
        assert trio.current_time() - began > 40
        assert not ended


async def test_a_body_that_never_comes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, open_anywhere: OpenFront
) -> None:
    monkeypatch.setattr(http_requests, "BODY_SECONDS", 0.1)
    async with open_anywhere(REPEAT) as scene:
        async with scene.client() as client:
            await client.say(client.question("POST", "/repeat", b"hello")[:-5])
            assert (await client.answer()).status == 408
            assert await client.is_hung_up()
        assert isinstance(await scene.rejections.next(), http_requests.BodyTooSlow)


async def test_who_says_nothing_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, open_anywhere: OpenFront
) -> None:
    monkeypatch.setattr(http_requests, "HEAD_SECONDS", 0.1)
    async with open_anywhere(GREET) as scene:
        async with scene.client() as silent, scene.client() as slow:
            await slow.say(b"GET / HT")
            assert await silent.is_hung_up()
            assert await slow.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.rejections


async def test_who_asks_in_drops_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for a whole head, not for each piece of it."""
    monkeypatch.setattr(http_requests, "HEAD_SECONDS", 0.3)
    async with open_front(GREET) as scene, scene.client() as client:
        with trio.fail_after(DEADLINE_SECONDS), suppress(trio.BrokenResourceError):
            while True:
                await client.say(b"G")
                await trio.sleep(0.02)


async def test_a_connection_that_is_not_used_is_kept_for_a_minute(
    autojump_clock: trio.testing.MockClock,
) -> None:
    client, server = trio.testing.memory_stream_pair()
    async with open_connection(client, server, GREET) as (talker, ended):
        for _ in range(2):
            assert (await talker.get("/hello/alice")).status == 200
            await trio.sleep(http_requests.IDLE_SECONDS - 1)
        assert (await talker.get("/hello/alice")).status == 200
        await trio.sleep(http_requests.IDLE_SECONDS + 1)
        assert await client.receive_some() == b""
        assert not ended


# What is in it


class Wish(msgspec.Struct):
    name: str
    count: int = 1


async def grant(request: Request) -> Response:
    return json_response(request.read(Wish), status=201)


GRANT = Route(method="POST", path="/wishes", answer=grant)


async def test_a_body_is_decoded_as_what_is_wanted(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GRANT) as scene, scene.client() as client:
        answer = await client.ask("POST", "/wishes", b'{"name": "a kernel", "other": []}')
        assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
        assert json.loads(answer.body) == {"name": "a kernel", "count": 1}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "missing required field `name`"),
        (b"{}", "missing required field `name`"),
        (b'{"name": 1}', "Expected `str`, got `int` - at `$.name`"),
        (b'{"name": "\xff"}', "utf-8"),
        (b'{"name": "a"', "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"x":' + b"[" * 100_000, "too deep"),
        (b"\x00", "malformed"),
    ],
)
async def test_a_body_that_is_something_else_is_told_in_one_line(body: bytes, why: str) -> None:
    async with open_front(GRANT) as scene, scene.client() as client:
        for _ in range(2):
            answer = await client.ask("POST", "/wishes", body)
            message, reason = answer.error
            assert (answer.status, reason) == (400, "ClientProtocolError")
            assert why in message
            assert "\n" not in message
        assert not scene.failures
