"""A record on a port: its blobs, and its documents for whoever speaks the protocol by hand."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import cbor2
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from proxy import record_server
from proxy.errors import ConfigError, StoreError
from proxy.record import sync as sync_module
from proxy.record.document import DocumentBroken
from proxy.record.sync import SyncServer
from proxy.record_server import RecordServer
from tests.endpoints.http_client import Answer, HttpClient, open_websocket
from tests.inbox import DEADLINE_SECONDS, eventually
from tests.record.reader import Reader
from tests.record.serving import BlobsInMemory, Book, open_server


async def get(server: RecordServer, sha256: str, **headers: str) -> Answer:
    """Get a blob by the URL that the server has for it."""
    url = urlsplit(server.blob_url(sha256))
    stream = await trio.open_tcp_stream("127.0.0.1", url.port or 0)
    async with stream:
        client = HttpClient(server.front.port, stream)
        return await client.get(f"{url.path}?{url.query}", authorization="", **headers)


@asynccontextmanager
async def open_reader(server: RecordServer, name: str = "alice") -> AsyncIterator[WireReader]:
    """Connect a peer by hand."""
    async with open_websocket(server.sync_url) as socket:
        yield WireReader(name, socket)


class WireReader(Reader):
    """A peer whose frames go over a real WebSocket."""

    def __init__(self, name: str, socket: WebSocketConnection) -> None:
        self.socket = socket
        super().__init__(SyncServer("unused"), name)

    async def say_all(self) -> None:
        while self.outbox:
            await self.socket.send_message(self.outbox.popleft())

    async def until(self, document_id: str, key: str, value: Any) -> None:
        """Read and answer until a document has this."""
        with trio.fail_after(DEADLINE_SECONDS):
            while document_id not in self.documents or self.value(document_id, key) != value:
                await self.say_all()
                self.take(bytes(await self.socket.get_message()))
        await self.say_all()

    async def closed(self) -> tuple[int, str]:
        """Read until the connection is closed, and tell how."""
        with trio.fail_after(DEADLINE_SECONDS):
            try:
                while True:
                    await self.socket.get_message()
            except ConnectionClosed as error:
                assert error.reason is not None
                return error.reason.code, error.reason.reason or ""


# Blobs


@pytest.mark.parametrize(
    ("media_type", "content_type", "disposition"),
    [
        ("image/png", "image/png", "inline"),
        ("text/plain", "text/plain; charset=utf-8", "inline"),
        ("application/json", "application/json", "inline"),
        ("image/svg+xml", "image/svg+xml", "attachment"),
        ("text/html", "text/html; charset=utf-8", "attachment"),
        ("application/javascript", "application/javascript", "attachment"),
        ("text/html; charset=latin-1", "text/html; charset=latin-1", "attachment"),
        ("image/png\r\nSet-Cookie: a=b", "application/octet-stream", "attachment"),
        ("grün", "application/octet-stream", "attachment"),
    ],
)
async def test_a_blob_is_what_it_is_and_runs_nowhere(
    media_type: str, content_type: str, disposition: str
) -> None:
    async with open_server() as server:
        content = b"<script>alert(1)</script>" * 1000
        sha256 = blobs_of(server).put(media_type, content)
        answer = await get(server, sha256)
        assert (answer.status, answer.body) == (200, content)
        assert hashlib.sha256(answer.body).hexdigest() == sha256
        assert answer.headers["content-type"] == content_type
        assert answer.headers["content-disposition"] == disposition
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "immutable" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers


async def test_a_blob_that_somebody_has_is_not_sent_again() -> None:
    async with open_server() as server:
        sha256 = blobs_of(server).put("image/png", b"\x89PNG")
        tag = (await get(server, sha256)).headers["etag"]
        answer = await get(server, sha256, if_none_match=tag)
        assert (answer.status, answer.body) == (304, b"")
        assert (await get(server, sha256, if_none_match='"other"')).status == 200


async def test_a_blob_that_is_not_there_is_told_in_one_line() -> None:
    async with open_server() as server:
        answer = await get(server, "0" * 64)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
        assert (await get(server, "..%2F..%2Fetc%2Fpasswd")).status == 404


async def test_a_blob_is_for_who_has_the_token() -> None:
    async with open_server() as server, open_server() as other:
        sha256 = blobs_of(server).put("text/plain", b"hello")
        assert server.token != other.token
        other.front.port, port = server.front.port, other.front.port
        assert (await get(other, sha256)).status == 403
        other.front.port = port


async def test_a_damaged_store_ends_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(sha256: str) -> bytes:
        raise StoreError("a blob is damaged; it was set aside")

    async with open_server() as server:
        sha256 = blobs_of(server).put("text/plain", b"hello")
        monkeypatch.setattr(server._blobs, "get", damaged)
        assert (await get(server, sha256)).status == 404
        monkeypatch.undo()
        assert (await get(server, sha256)).status == 200


def blobs_of(server: RecordServer) -> BlobsInMemory:
    assert isinstance(server._blobs, BlobsInMemory)
    return server._blobs


async def test_a_port_that_is_taken_is_told_as_it_is() -> None:
    """Who asked for a port may then take another one."""
    async with open_server() as server, trio.open_nursery() as nursery:
        second = RecordServer(SyncServer("x"), BlobsInMemory(), port=server.front.port)
        with pytest.raises(ConfigError, match="choose another port"):
            await nursery.start(second.serve)


# Documents


async def test_changes_come_as_they_are_announced() -> None:
    async with open_server() as server, open_reader(server) as alice:
        book = Book(server.sync, n=0)
        alice.find(book.id)
        await alice.until(book.id, "n", 0)
        for number in range(1, 100):
            book.write(n=number)
        await alice.until(book.id, "n", 99)
        assert len(alice.steps) < 10, "in steps as large as they can be"


async def test_one_who_never_says_who_it_is_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """automerge-repo's client leaves such sockets behind."""
    monkeypatch.setattr(record_server, "JOIN_SECONDS", 0.05)
    async with open_server() as server, open_reader(server) as alice:
        assert await alice.closed() == (1000, "")


async def test_another_version_is_told_so_and_hung_up_on() -> None:
    async with open_server() as server, open_websocket(server.sync_url) as socket:
        join = {"type": "join", "senderId": "alice", "supportedProtocolVersions": ["2"]}
        await socket.send_message(cbor2.dumps(join))
        assert cbor2.loads(await socket.get_message())["type"] == "error"
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff",
        b"\xa1\x64type",
        cbor2.dumps({"type": "sync", "documentId": "x", "data": b"\x42"}),
        cbor2.dumps([]),
    ],
)
async def test_a_frame_that_is_no_good_ends_one_connection(frame: bytes) -> None:
    async with open_server() as server:
        book = Book(server.sync, n=0)
        async with open_reader(server, "bob") as bob, open_reader(server) as alice:
            bob.find(book.id)
            await bob.until(book.id, "n", 0)
            await alice.say_all()
            await alice.socket.send_message(frame)
            code, why = await alice.closed()
            assert code == 1008
            assert why.startswith("no ")
            book.write(n=1)
            await bob.until(book.id, "n", 1)
            assert server.sync.peers == 1


async def test_a_document_that_cannot_be_read_ends_one_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> bytes:
        raise DocumentBroken("automerge panicked")

    async with open_server() as server:
        book, other = Book(server.sync, n=0), Book(server.sync, n=0)
        monkeypatch.setattr(book.document, "save", broken)
        async with open_reader(server, "bob") as bob, open_reader(server) as alice:
            alice.find(book.id)
            await alice.say_all()
            assert (await alice.closed())[0] == 1011
            bob.find(other.id)
            await bob.until(other.id, "n", 0)


async def test_who_asks_and_does_not_read_is_not_read_from() -> None:
    """What it asks for in vain would else wait for it without bound."""
    async with open_server() as server:
        raw = trio.socket.socket()
        raw.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        await raw.connect(("127.0.0.1", server.front.port))
        async with trio.SocketStream(raw) as stream:
            client = HttpClient(server.front.port, stream)
            await client.become_a_websocket(server.sync_url.partition(str(server.front.port))[2])
            join = {"type": "join", "senderId": "alice", "long": "x" * 200}
            await client.say(masked(cbor2.dumps(join)))
            await eventually(lambda: server.sync.peers == 1)
            (peer,) = server.sync._peers
            request = {"type": "request", "documentId": "x" * 200, "data": b"\x42\0\0\0\0"}
            many = masked(cbor2.dumps(request)) * 1000
            with trio.fail_after(30):
                while True:
                    with trio.move_on_after(1) as patience:
                        await client.say(many)
                    if patience.cancelled_caught:
                        break
            assert len(peer._answers) == sync_module.MAX_ANSWERS
        await eventually(lambda: server.front.connections == 0)


def masked(message: bytes) -> bytes:
    """A frame of a client (RFC 6455, 5.2), of 126 bytes or more, with a mask of zeros."""
    return b"\x82" + bytes([0x80 | 126]) + len(message).to_bytes(2, "big") + bytes(4) + message


async def test_a_document_that_was_replaced_goes_when_nobody_does_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_server, "EXPIRE_SECONDS", 0.01)
    monkeypatch.setattr(sync_module, "RETIRED_SECONDS", 0.05)
    async with open_server() as server:
        book = Book(server.sync, n=0)
        server.sync.retire(book.id)
        await eventually(lambda: not server.sync.documents)


async def test_the_log_has_no_token(capfd: pytest.CaptureFixture[str]) -> None:
    async with open_server() as server, open_reader(server) as alice:
        await alice.say_all()
        await alice.socket.send_message(b"\xff")
        await alice.closed()
        await get(server, "x")
        await eventually(lambda: server.front.connections == 0)
        out, err = capfd.readouterr()
        assert server.token not in out + err
