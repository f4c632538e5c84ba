"""Connections of a front: many, too many, broken ones, and their end."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.endpoints.unix_front import UnixFront
from tests.endpoints.http_client import ECHO, GREET, REPEAT, HttpClient, OpenFront, WebScene
from tests.inbox import eventually

MANY = 1000


@pytest.fixture
def many_files() -> Iterator[None]:
    """Room for both ends of many connections; a shell's usual limit is 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MANY + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"no process may have more than {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_thousand_connections_are_served(
    open_front_too: OpenFront, many_files: None
) -> None:
    async with open_front_too(GREET, REPEAT, max_connections=MANY) as scene:
        clients: list[HttpClient] = []
        for number in range(MANY):
            clients.append(await scene.connect())
            assert (await clients[-1].get(f"/hello/{number}")).status == 200
        assert scene.front.connections == MANY
        async with scene.client() as another:
            assert (await another.get("/hello/alice")).status == 503
        for number, client in enumerate(clients):
            assert (await client.ask("POST", "/repeat", b"%d" % number)).body == b"%d" % number
        for client in clients:
            await client.stream.aclose()
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


async def test_too_many_connections_are_told_so(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GREET, max_connections=2) as scene:
        async with scene.client() as first, scene.client() as second:
            assert (await first.get("/hello/alice")).status == 200
            assert (await second.get("/hello/alice")).status == 200
            async with scene.client() as third:
                answer = await third.get("/hello/alice")
                assert answer.status == 503
                assert answer.error == ("too many connections; close some", "Service Unavailable")
                assert await third.is_hung_up()
        await eventually(lambda: scene.front.connections == 0)
        async with scene.client() as fourth:
            assert (await fourth.get("/hello/alice")).status == 200


async def test_one_front_has_no_room_left_and_another_one_has(
    open_anywhere: OpenFront, open_front_too: OpenFront
) -> None:
    """Whoever uses up the connections of a port leaves the Unix socket to its owner."""
    async with open_anywhere(GREET, max_connections=1) as full, full.client() as only:
        assert (await only.get("/hello/alice")).status == 200
        async with open_front_too(GREET) as scene, scene.client() as client:
            assert (await client.get("/hello/bob")).status == 200
            assert (await only.get("/hello/alice")).status == 200


async def test_garbage_harms_nobody(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GREET, REPEAT, ECHO) as scene:

        @settings(max_examples=200)
        @given(st.binary(max_size=300), st.booleans())
        def throw(data: bytes, in_a_body: bool) -> None:
            head = b"POST /repeat?token=secret HTTP/1.1\r\nhost: localhost\r\n"
            head += b"transfer-encoding: chunked\r\n\r\n"
            with connected(scene) as thrower:
                thrower.sendall(head + data if in_a_body else data)

        await trio.to_thread.run_sync(throw)
        async with scene.client() as client:
            assert (await client.get("/hello/alice")).status == 200
        await eventually(lambda: scene.front.connections == 0)
        assert not scene.failures


def connected(scene: WebScene) -> socket.socket:
    """Connect in a thread."""
    if not isinstance(scene.front, UnixFront):
        return socket.create_connection(("127.0.0.1", scene.front.port), timeout=5)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(str(scene.front.path))
    return connection


async def test_connections_end_with_the_front(open_anywhere: OpenFront) -> None:
    async with open_anywhere(GREET) as scene:
        client = await scene.connect()
        assert (await client.get("/hello/alice")).status == 200
    async with client.stream:
        assert await client.is_hung_up()
    assert scene.front.connections == 0
