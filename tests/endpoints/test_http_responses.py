"""Responses: whole, and piece by piece to clients that read, do not read, and hang up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count

import pytest
import trio
import trio.testing

from proxy.endpoints import http_responses
from proxy.endpoints.http_requests import MAX_HEAD_BYTES
from proxy.endpoints.routes import Request, Response, Route
from tests.endpoints.http_client import GREET, HttpClient, OpenFront, WebScene, open_front
from tests.inbox import DEADLINE_SECONDS, Inbox, eventually

PROMPTLY = 5.0
"""Long before a client would be hung up on because it does not read."""


class Stream:
    """A response in pieces of a test's own: what is put in comes out, and its end is noted."""

    def __init__(self) -> None:
        self.pieces: Inbox[bytes] = Inbox()
        self.asked = 0
        self.open = 0
        self.route = Route(method="GET", path="/stream", answer=self.answer)

    async def answer(self, request: Request) -> Response:
        return Response(headers=(("Content-Type", "text/plain"),), body=self.flow())

    async def flow(self) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            while piece := await self.pieces.next(seconds=1000):
                self.asked += 1
                yield piece
        finally:
            self.open -= 1


async def test_pieces_are_sent_as_they_come_to_be(open_anywhere: OpenFront) -> None:
    stream = Stream()
    async with open_anywhere(stream.route, GREET) as scene, scene.client() as client:
        await client.say(client.question("GET", "/stream"))
        head = await client.hear(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        assert b"content-length" not in head.lower()
        for piece in (b"one\n", b"two\n"):
            stream.pieces.put(piece)
            assert await client.hear(piece + b"\r\n") == b"4\r\n" + piece + b"\r\n"
        stream.pieces.put(b"")
        assert await client.hear(b"0\r\n\r\n") == b"0\r\n\r\n"
        assert stream.open == 0


async def test_the_connection_goes_on_after_a_stream(open_anywhere: OpenFront) -> None:
    stream = Stream()
    async with open_anywhere(stream.route, GREET) as scene, scene.client() as client:
        for word in (b"one", b"two"):
            stream.pieces.put(word)
            stream.pieces.put(b"")
            assert (await client.get("/stream")).body == word
            assert (await client.get("/hello/alice")).body == b"hello alice"
        assert scene.front.connections == 1


async def test_a_question_that_comes_during_a_stream_is_answered_after_it(
    open_anywhere: OpenFront,
) -> None:
    stream = Stream()
    async with open_anywhere(stream.route, GREET) as scene, scene.client() as client:
        await client.say(client.question("GET", "/stream"))
        await eventually(lambda: stream.open == 1)
        other = HttpClient(client.port, client.stream)
        question = other.question("GET", "/hello/bob")
        await client.say(question[:30])
        stream.pieces.put(b"one")
        await eventually(lambda: stream.asked == 1)
        await client.say(question[30:])
        stream.pieces.put(b"")
        assert (await client.answer()).body == b"one"
        assert (await other.answer()).body == b"hello bob"


async def test_who_asks_on_and_on_during_a_stream_is_hung_up_on() -> None:
    """Its questions would wait for the end in memory."""
    stream = Stream()
    async with open_front(stream.route) as scene, scene.client() as client:
        await client.say(client.question("GET", "/stream"))
        await eventually(lambda: stream.open == 1)
        question = b"GET / HTTP/1.1\r\n\r\n"
        await client.say(question * (MAX_HEAD_BYTES // len(question) + 2))
        assert await client.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        assert stream.open == 0


async def test_head_does_not_begin_a_stream() -> None:
    stream = Stream()
    async with open_front(stream.route, GREET) as scene, scene.client() as client:
        answer = await client.get("/stream", method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert (await client.get("/hello/alice")).status == 200
        assert (stream.open, stream.asked) == (0, 0)


async def test_a_client_of_old_reads_a_stream_to_the_end_of_the_connection() -> None:
    stream = Stream()
    async with open_front(stream.route) as scene, scene.client() as client:
        await client.say(b"GET /stream?token=secret HTTP/1.0\r\nhost: localhost\r\n\r\n")
        stream.pieces.put(b"one")
        stream.pieces.put(b"")
        heard = await client.hear(b"one")
        assert heard.endswith(b"\r\n\r\none")
        assert await client.is_hung_up()


async def test_who_hangs_up_is_noticed_while_there_is_nothing_to_send(
    open_anywhere: OpenFront,
) -> None:
    stream = Stream()
    async with open_anywhere(stream.route) as scene:
        for _ in range(3):
            async with scene.client() as client:
                await client.say(client.question("GET", "/stream"))
                await client.hear(b"\r\n\r\n")
                await eventually(lambda: stream.open == 1)
            with trio.fail_after(PROMPTLY):
                await eventually(lambda: (stream.open, scene.front.connections) == (0, 0))
        assert not scene.rejections
        assert not scene.failures


async def test_who_hangs_up_is_noticed_while_it_does_not_read(open_anywhere: OpenFront) -> None:
    stream = Stream()
    async with open_anywhere(stream.route) as scene:
        async with scene.client() as client:
            await client.say(client.question("GET", "/stream"))
            for _ in range(100):
                stream.pieces.put(bytes(1_000_000))
            await settled(stream)
        with trio.fail_after(PROMPTLY):
            await eventually(lambda: (stream.open, scene.front.connections) == (0, 0))
        assert not scene.failures


async def settled(stream: Stream) -> None:
    """Wait until no more pieces are taken."""
    taken = -1
    with trio.fail_after(DEADLINE_SECONDS):
        while taken != stream.asked or not taken:
            taken = stream.asked
            await trio.sleep(0.1)


async def test_a_stream_ends_with_the_front(open_anywhere: OpenFront) -> None:
    stream = Stream()
    scene: WebScene
    async with open_anywhere(stream.route) as scene:
        client = await scene.connect()
        await client.say(client.question("GET", "/stream"))
        stream.pieces.put(b"one")
        await client.hear(b"one\r\n")
    assert stream.open == 0
    async with client.stream:
        assert await client.is_hung_up()
    assert not scene.failures


async def test_who_does_not_read_holds_up_its_own_stream_only(open_anywhere: OpenFront) -> None:
    """No more is taken than the system has room for, and who reads is served."""
    stream = Stream()
    front = open_anywhere(stream.route, GREET)
    async with front as scene, scene.client() as deaf, scene.client() as other:
        await deaf.say(deaf.question("GET", "/stream"))
        for _ in range(200):
            stream.pieces.put(bytes(100_000))
        await settled(stream)
        assert stream.asked < 100, "20 MB fit nowhere"
        assert (await other.get("/hello/alice")).status == 200
        stream.pieces.put(b"")
        answer = await deaf.answer()
        assert answer.body == bytes(20_000_000)


async def test_who_never_reads_a_stream_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, open_anywhere: OpenFront
) -> None:
    monkeypatch.setattr(http_responses, "READ_SECONDS", 0.2)

    async def flood() -> AsyncIterator[bytes]:
        for number in count():
            yield b"%d\n" % number * 10_000

    async def answer(request: Request) -> Response:
        return Response(body=flood())

    floods = Route(method="GET", path="/flood", answer=answer)
    async with open_anywhere(floods) as scene, scene.client() as client:
        await client.say(client.question("GET", "/flood"))
        assert "did not read" in str(await scene.rejections.next())
        await eventually(lambda: scene.front.connections == 0)


async def test_who_never_reads_a_page_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, open_anywhere: OpenFront
) -> None:
    monkeypatch.setattr(http_responses, "READ_SECONDS", 0.1)

    async def fill(request: Request) -> Response:
        return Response(body=bytes(50_000_000))

    fills = Route(method="GET", path="/", answer=fill)
    async with open_anywhere(fills) as scene, scene.client() as client:
        await client.say(client.question("GET", "/"))
        assert "did not read" in str(await scene.rejections.next())
        await eventually(lambda: scene.front.connections == 0)


async def test_a_large_page_comes_whole(open_anywhere: OpenFront) -> None:
    async def fill(request: Request) -> Response:
        return Response(body=b"0123456789" * 1_000_000)

    fills = Route(method="GET", path="/", answer=fill)
    async with open_anywhere(fills, GREET) as scene, scene.client() as client:
        assert (await client.get("/")).body == b"0123456789" * 1_000_000
        assert (await client.get("/hello/alice")).status == 200


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_stream_that_fails_breaks_off_and_is_reported(
    at_once: bool, open_anywhere: OpenFront
) -> None:
    """Its end would say that all was sent."""

    async def stumble() -> AsyncIterator[bytes]:
        if not at_once:
            yield b"one"
        raise ZeroDivisionError

    async def answer(request: Request) -> Response:
        return Response(body=stumble())

    async with open_anywhere(Route(method="GET", path="/", answer=answer)) as scene:
        async with scene.client() as client:
            await client.say(client.question("GET", "/"))
            heard = await client.hear(b"\r\n\r\n" if at_once else b"one\r\n")
            assert b"0\r\n\r\n" not in heard
            assert await client.is_hung_up()
        assert isinstance(await scene.failures.next(), ZeroDivisionError)


async def test_a_channel_is_a_stream_too(open_anywhere: OpenFront) -> None:
    """What is no generator is closed as well: who sends into it learns that nobody listens."""
    send, receive = trio.open_memory_channel[bytes](0)

    async def answer(request: Request) -> Response:
        return Response(body=receive)

    async with open_anywhere(Route(method="GET", path="/", answer=answer)) as scene:
        async with scene.client() as client:
            await client.say(client.question("GET", "/"))
            await send.send(b"one")
            await client.hear(b"one\r\n")
        with trio.fail_after(PROMPTLY), suppress(trio.BrokenResourceError):
            while True:
                await send.send(b"two")


async def test_a_piece_may_be_empty_or_large(open_anywhere: OpenFront) -> None:
    """An empty chunk would be the end."""

    async def flow() -> AsyncIterator[bytes]:
        for piece in (b"", b"one", b"", b"2" * 3_000_000, b""):
            yield piece

    async def answer(request: Request) -> Response:
        return Response(body=flow())

    flows = Route(method="GET", path="/", answer=answer)
    async with open_anywhere(flows) as scene, scene.client() as client:
        assert (await client.get("/")).body == b"one" + b"2" * 3_000_000


async def test_an_answer_without_a_body_says_no_length() -> None:
    async def answer(request: Request) -> Response:
        return Response(status=int(request.places["status"]))

    route = Route(method="DELETE", path="/{status}", answer=answer)
    async with open_front(route) as scene, scene.client() as client:
        for status in (204, 304, 204):
            answered = await client.ask("DELETE", f"/{status}")
            assert (answered.status, answered.body) == (status, b"")
            assert "content-length" not in answered.headers
