"""WebSockets on the front, with clients of three kinds: good, rude and broken."""

from __future__ import annotations

import random

import pytest
import trio
from trio_websocket import (
    ConnectionClosed,
    connect_websocket_url,
)

from proxy.endpoints import websocket
from proxy.endpoints.routes import Request, WebSocketRoute
from proxy.endpoints.websocket import RESTARTS, WebSocket
from proxy.errors import ClientProtocolError
from tests.endpoints.http_client import ECHO, GREET, open_front, open_websocket
from tests.inbox import DEADLINE_SECONDS, Inbox, eventually

HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def test_messages_go_both_ways() -> None:
    async with open_front(ECHO) as scene:
        async with open_websocket(scene.websocket_url) as client:
            for message in (b"", b"hello", bytes(100_000)):
                await client.send_message(message)
                assert await client.get_message() == message
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.rejections
        assert not scene.failures


async def test_a_page_may_come_before_on_the_same_connection() -> None:
    """What was read of it by then is not read again by who speaks WebSocket."""
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        assert (await client.get("/hello/alice")).status == 200
        received = await client.become_a_websocket()
        await client.say(b"\x82\x82\x00\x00\x00\x00hi")
        with trio.fail_after(DEADLINE_SECONDS):
            while not received.endswith(b"\x82\x02hi"):
                received += await client.stream.receive_some(1000)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in received, "RFC 6455, 1.3"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"authorization": ""}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example"}, 403),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_version": ""}, 426),
        ({"sec_websocket_key": ""}, 400),
        ({"sec_websocket_key": "c2hvcnQ="}, 400),
        ({"sec_websocket_key": "***"}, 400),
        ({"upgrade": "h2c"}, 426),
    ],
)
async def test_a_handshake_that_is_no_good_is_answered(
    options: dict[str, str], status: int
) -> None:
    """trio-websocket would wait for ever with some of them."""
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        answer = await client.get("/talk", **(HANDSHAKE | options))
        assert answer.status == status
        assert (await client.get("/hello/alice")).status == 200, "it goes on as HTTP"


async def test_a_handshake_has_no_body() -> None:
    """Who speaks WebSocket would take it for frames."""
    async with open_front(GREET, ECHO) as scene, scene.client() as client:
        answer = await client.ask("GET", "/talk", b"\x82\x80\0\0\0\0", **HANDSHAKE)
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await client.is_hung_up()


async def test_a_text_is_against_the_protocol() -> None:
    async with open_front(ECHO) as scene:
        async with open_websocket(scene.websocket_url) as client:
            await client.send_message("text")
            with pytest.raises(ConnectionClosed) as closed:
                await client.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1008
        assert "binary" in str(await scene.rejections.next())


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    async with open_front(ECHO) as scene:
        async with open_websocket(scene.websocket_url) as client:
            await client.send_message(bytes(100_001))
            with pytest.raises(ConnectionClosed) as closed:
                await client.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1009
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"\xff" * 20, id="reserved bits"),
        pytest.param(b"\x82\x05hello", id="no mask"),
        pytest.param(b"\x83\x80\0\0\0\0", id="an opcode of nobody"),
        pytest.param(b"\x89\xfe\x01\x00\0\0\0\0" + bytes(256), id="a ping that is too long"),
        pytest.param(b"\x80\x80\0\0\0\0", id="a continuation of nothing"),
        pytest.param(b"\x88\x81\0\0\0\0x", id="half a code of closing"),
        pytest.param(b"\x88\x82\0\0\0\0\x03\xe7", id="a code that nobody may send"),
        pytest.param(b"\x81\x81\0\0\0\0\xff", id="no UTF-8"),
        pytest.param(b"\x82\xff" + b"\xff" * 12, id="a length of 64 bits"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
    ],
)
async def test_frames_that_break_the_protocol_end_one_connection(said: bytes) -> None:
    async with open_front(GREET, ECHO) as scene:
        async with scene.client() as client, open_websocket(scene.websocket_url) as other:
            await client.become_a_websocket()
            await client.say(said)
            await client.stream.send_eof()
            assert await client.is_hung_up()
            await other.send_message(b"hello")
            assert await other.get_message() == b"hello"
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x82\x05hello", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
    ],
)
async def test_who_breaks_the_protocol_is_told_how(said: bytes, code: int) -> None:
    """RFC 6455, 7.1.7; also where it goes on sending."""
    async with open_front(ECHO) as scene, scene.client() as client:
        await client.become_a_websocket()
        await client.say(said + bytes(100_000))
        told = await client.hear(code.to_bytes(2, "big"))
        assert told.startswith(b"\x88")
        await client.stream.send_eof()
        assert await client.is_hung_up()
        assert "broke the protocol" in str(await scene.rejections.next())
        assert not scene.failures


async def test_a_message_of_empty_pieces_has_an_end() -> None:
    async with open_front(ECHO) as scene, scene.client() as client:
        await client.become_a_websocket()
        await client.say(b"\x02\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 2000)
        assert b"\x03\xf1" in await client.hear(b"maximum message size"), "1009"


async def test_garbage_harms_nobody() -> None:
    dice = random.Random(1)
    async with open_front(GREET, ECHO) as scene:
        for _ in range(100):
            async with scene.client() as client:
                await client.become_a_websocket()
                await client.say(dice.randbytes(dice.randrange(1, 400)))
                if dice.random() < 0.5:
                    await client.stream.send_eof()
                    assert await client.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


async def test_who_breaks_off_is_gone() -> None:
    gone: Inbox[bool] = Inbox()

    async def wait(request: Request, socket: WebSocket) -> None:
        try:
            await socket.receive()
        finally:
            gone.put(True)

    async with open_front(WebSocketRoute(path="/talk", talk=wait)) as scene:
        async with scene.client() as client:
            await client.become_a_websocket()
        await gone.next()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.rejections
        assert not scene.failures


async def test_who_does_not_answer_a_ping_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.02)
    monkeypatch.setattr(websocket, "PONG_SECONDS", 0.1)
    async with open_front(ECHO) as scene:
        async with scene.client() as silent, open_websocket(scene.websocket_url) as alive:
            await silent.become_a_websocket()
            assert await silent.is_hung_up()
            await alive.send_message(b"hello")
            assert await alive.get_message() == b"hello"
        assert not scene.failures


@pytest.mark.parametrize("in_a_nursery", [False, True])
async def test_a_bug_in_who_talks_is_reported_and_the_client_told(in_a_nursery: bool) -> None:
    async def stumble(request: Request, socket: WebSocket) -> None:
        if not in_a_nursery:
            raise ZeroDivisionError
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stumble_in, nursery)

    async def stumble_in(nursery: trio.Nursery) -> None:
        raise ZeroDivisionError

    async with open_front(WebSocketRoute(path="/talk", talk=stumble)) as scene:
        async with open_websocket(scene.websocket_url) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1011
        assert isinstance(await scene.failures.next(), ZeroDivisionError)


async def test_what_a_client_did_wrong_is_told_with_the_goodbye() -> None:
    async def refuse(request: Request, socket: WebSocket) -> None:
        async with trio.open_nursery():
            raise ClientProtocolError("this is wrong: " + "ä" * 200)

    async with open_front(WebSocketRoute(path="/talk", talk=refuse)) as scene:
        async with open_websocket(scene.websocket_url) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.get_message()
            reason = closed.value.reason
            assert reason is not None
            assert reason.code == 1008
            assert (reason.reason or "").startswith("this is wrong: ä")
        await scene.rejections.next()


async def test_the_end_of_the_front_is_told_to_who_is_there() -> None:
    async with trio.open_nursery() as nursery:
        async with open_front(ECHO) as scene:
            client = await connect_websocket_url(nursery, scene.websocket_url)
            await client.send_message(b"hello")
            assert await client.get_message() == b"hello"
        with pytest.raises(ConnectionClosed) as closed:
            await client.get_message()
        assert closed.value.reason is not None
        assert closed.value.reason.code == RESTARTS
        await trio.aclose_forcefully(client._stream)
