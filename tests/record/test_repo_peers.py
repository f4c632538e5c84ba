"""Documents, served on a port, for clients of others: from npm, and automerge's own for Python."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
import trio
import trio.lowlevel

from proxy.record import sync as sync_module
from proxy.record.addresses import new_document_id, url_of
from proxy.record.document import Document
from proxy.record.sync import SyncServer
from tests.inbox import eventually
from tests.record.repo_peer import RepoPeer, open_npm_peer, open_python_peer
from tests.record.serving import Book, open_server
from tests.record.test_sync import Clock

pytestmark = pytest.mark.timeout(300)  # packages are installed the first time

QUIET_SECONDS = 1.0
"""Ten times as long as a client waits before it says something again."""


async def message_count(peer: RepoPeer) -> int:
    """How many messages it has sent and received."""
    counted = await peer.ask("counted", "counted")
    return int(counted["sent"] + counted["received"])


# From npm


async def test_a_document_is_found_and_followed() -> None:
    content: dict[str, Any] = {
        "schema": 1,
        "text": "grün 🎉",
        "empty": "",
        "none": None,
        "yes": True,
        "pi": 3.25,
        "raw": b"\x00\xff",
        "cells": [{"code": "1 + 1", "outputs": ["2"]}, {"code": "", "outputs": []}],
        "nested": {"": {"deep": [1, 2]}},
    }
    async with open_server() as server, open_npm_peer() as alice:
        book = Book(server.sync, **content)
        await alice.connect(server.sync_url)
        found = await alice.find(book.url)
        assert found["doc"] == content | {"raw": {"bytes": [0, 255]}}
        for number in range(3):
            book.write(n=number)
            await alice.sees("it", "n", number)
        assert (await alice.ask("heads", "heads", name="it"))["heads"]
        assert await alice.look() == {**found["doc"], "n": 2}


async def test_a_document_of_a_thousand_changes() -> None:
    async with open_server() as server, open_npm_peer() as alice:
        book = Book(server.sync, n=0)
        for number in range(1, 1000):
            book.write(**{f"k{number % 50}": number})
        await alice.connect(server.sync_url)
        assert (await alice.find(book.url))["doc"] == book.document.read()
        assert await message_count(alice) <= 5


async def test_what_is_not_there_is_unavailable() -> None:
    async with open_server() as server, open_npm_peer() as alice:
        await alice.connect(server.sync_url)
        await alice.ask("find", "unavailable", url=url_of(new_document_id()), name="other")
        book = Book(server.sync, n=1)
        assert (await alice.find(book.url))["doc"] == {"n": 1}


async def test_who_has_not_the_token_gets_nothing() -> None:
    async with open_server() as server, open_npm_peer() as alice:
        await alice.do("connect", url=server.sync_url + "x")
        assert "403" in (await alice.events.next(20))["why"]
        assert server.sync.peers == 0


async def test_a_client_comes_back_when_the_connection_broke() -> None:
    """The server is another one, on the same port, and has loaded the same document."""
    async with open_npm_peer() as alice, open_npm_peer() as bob:
        async with open_server() as server:
            token, port = server.token, server.front.port
            book = Book(server.sync, n=0)
            for peer in (alice, bob):
                await peer.connect(server.sync_url)
                await peer.find(book.url)
            book.write(n=1)
            await bob.sees("it", "n", 1)
            await alice.sees("it", "n", 1)
            saved = book.document.save()
        await alice.next("disconnected")
        await bob.next("disconnected")
        document = Document.load(saved)
        async with open_server(SyncServer("kmux-test"), token=token, port=port) as server:
            book.sync, book.document = server.sync, document
            server.sync.add(book.id, document)
            book.write(n=2)
            for peer in (alice, bob):
                await peer.sees("it", "n", 2)
            book.write(n=3)
            for peer in (alice, bob):
                await peer.sees("it", "n", 3)


async def test_a_client_follows_from_one_epoch_to_the_next() -> None:
    clock = Clock()
    async with open_server(SyncServer("kmux-test", clock)) as server, open_npm_peer() as alice:
        sync = server.sync
        epoch = Book(sync, n=0)
        root = Book(sync, epoch=1, document=epoch.url)
        await alice.connect(server.sync_url)
        found = await alice.find(root.url, "root")
        assert (await alice.find(found["doc"]["document"], "1"))["doc"] == {"n": 0}
        for number in range(2, 6):
            before, epoch = epoch, Book(sync, n=number)
            root.write(epoch=number, document=epoch.url)
            sync.retire(before.id)
            seen = await alice.sees("root", "epoch", number)
            assert seen["doc"]["document"] == epoch.url
            await alice.find(epoch.url, str(number))
            epoch.write(m=number)
            await alice.sees(str(number), "m", number)
        clock.now += sync_module.RETIRED_SECONDS
        async with open_npm_peer() as bob:
            await bob.connect(server.sync_url, "bob")
            await bob.ask("find", "unavailable", url=before.url, name="before")
            assert sync.documents == {root.id, epoch.id}
        epoch.write(m=100)
        await alice.sees("5", "m", 100)
        assert (await alice.look("4"))["n"] == 4, "it keeps what it has"


async def test_a_client_that_writes_is_on_its_own_with_that() -> None:
    async with open_server() as server, open_npm_peer() as alice, open_npm_peer() as bob:
        book = Book(server.sync, n=0)
        await alice.connect(server.sync_url, "alice")
        await bob.connect(server.sync_url, "bob")
        for peer in (alice, bob):
            await peer.find(book.url)
        before, heads = book.document.save(), book.document.heads
        for number in range(5):
            await alice.do("write", name="it", key="mine", value=number)
            await alice.sees("it", "mine", number)
        assert (book.document.save(), book.document.heads) == (before, heads)
        for number in range(1, 6):
            book.write(n=number)
            await alice.sees("it", "n", number)
            await bob.sees("it", "n", number)
            await alice.do("write", name="it", key="mine", value=10 * number)
            await alice.sees("it", "mine", 10 * number)
        assert await bob.look() == {"n": 5}
        assert await alice.look() == {"n": 5, "mine": 50}
        assert book.document.read() == {"n": 5}
        await trio.sleep(QUIET_SECONDS)
        counts = [await message_count(alice), await message_count(bob)]
        await trio.sleep(QUIET_SECONDS)
        assert [await message_count(alice), await message_count(bob)] == counts, "in circles"
        assert counts[0] - counts[1] <= 12, "one for each of its changes, and none for them"


async def test_a_client_that_wrote_comes_back() -> None:
    async with open_npm_peer() as alice:
        async with open_server() as server:
            token, port = server.token, server.front.port
            book = Book(server.sync, n=0)
            await alice.connect(server.sync_url)
            await alice.find(book.url)
            await alice.do("write", name="it", key="mine", value=1)
            await alice.sees("it", "mine", 1)
        await alice.next("disconnected")
        book.sync = SyncServer("another name")
        async with open_server(book.sync, token=token, port=port):
            book.sync.add(book.id, book.document)
            await alice.next("connected")
            for number in range(1, 4):
                book.write(n=number)
                await alice.sees("it", "n", number)
            assert book.document.read() == {"n": 3}
            assert await alice.look() == {"n": 3, "mine": 1}


async def test_a_client_has_documents_of_its_own() -> None:
    """Repos tell every peer of all their documents. They stay theirs."""
    async with open_server() as server, open_npm_peer() as alice, open_npm_peer() as bob:
        book = Book(server.sync, n=0)
        await alice.connect(server.sync_url, "alice")
        await bob.connect(server.sync_url, "bob")
        for number in range(20):
            own = await alice.ask("create", "created", name=f"own{number}", value={"n": number})
        await alice.find(book.url)
        await bob.ask("find", "unavailable", url=own["url"], name="hers")
        assert server.sync.documents == {book.id}
        book.write(n=1)
        await alice.sees("it", "n", 1)


async def test_clients_hear_each_other() -> None:
    async with open_server() as server, open_npm_peer() as alice, open_npm_peer() as bob:
        book = Book(server.sync, n=0)
        for name, peer in (("alice", alice), ("bob", bob)):
            await peer.connect(server.sync_url, name)
            await peer.find(book.url)
        for number in range(3):
            await alice.do("say", name="it", message={"cursor": number})
            heard = await bob.next("heard")
            assert (heard["from"], heard["message"]) == ("alice", {"cursor": number})
        await bob.do("say", name="it", message="and back")
        assert (await alice.next("heard"))["message"] == "and back"


async def test_a_client_that_reads_slowly_gets_fewer_and_larger_steps() -> None:
    async with open_server() as server, open_npm_peer() as alice, open_npm_peer() as bob:
        book = Book(server.sync, n=0)
        for name, peer in (("alice", alice), ("bob", bob)):
            await peer.connect(server.sync_url, name)
            await peer.find(book.url)
        before = await alice.ask("counted", "counted")
        await alice.ask("pause", "paused")
        memory = psutil.Process().memory_info().rss
        for number in range(1, 10_001):
            book.write(n=number)
            if number % 100 == 0:
                await trio.lowlevel.checkpoint()
        await bob.sees("it", "n", 10_000)
        assert psutil.Process().memory_info().rss - memory < 30_000_000
        await alice.do("resume")
        await alice.sees("it", "n", 10_000)
        after = await alice.ask("counted", "counted")
        assert after["received"] - before["received"] <= 3


async def test_a_client_that_is_killed_leaves_nothing_behind() -> None:
    async with open_server() as server:
        book = Book(server.sync, n=0)
        async with open_npm_peer() as alice:
            await alice.connect(server.sync_url)
            await alice.find(book.url)
            assert server.sync.peers == 1
        await eventually(lambda: server.sync.peers == 0 and server.front.connections == 0)
        book.write(n=1)


# Automerge's own for Python


async def test_the_repo_of_the_python_package_finds_and_follows() -> None:
    async with open_server() as server, open_python_peer() as alice:
        book = Book(server.sync, n=0, text="grün 🎉")
        for number in range(1, 100):
            book.write(n=number)
        await alice.connect(server.sync_url)
        assert (await alice.find(book.url))["doc"] == {"n": "99", "text": "grün 🎉"}
        for number in range(100, 103):
            book.write(n=number)
            await alice.sees("it", "n", str(number))
        before = book.document.heads
        await alice.do("write", name="it", key="mine", value=1)
        await alice.sees("it", "mine", "1")
        book.write(n=103)
        await alice.sees("it", "n", "103")
        assert (await alice.look())["mine"] == "1"
        assert book.document.heads != before
        assert book.document.read() == {"n": 103, "text": "grün 🎉"}
        other = url_of(new_document_id())
        await alice.ask("find", "unavailable", url=other, name="other")
