"""Garbage on every port: it is counted, nothing crashes, and the frontend beside it notices
nothing."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
import trio
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.message import Channel, Part
from proxy.wire.signing import signer
from proxy.wire.zmq_frames import DELIMITER, MAX_HEADER_BYTES
from tests.endpoints.scene import CONTROL, DEALERS, IOPUB, SHELL, TAG, Frontend, Scene, open_scene
from tests.inbox import eventually
from tests.messages import cell, published, reply
from tests.strategies import frames_of, junk_frames

KEY = signer(b"the key", "hmac-sha256")


class Vandal:
    """Sockets on all ports that send whatever they are given."""

    def __init__(self, scene: Scene) -> None:
        self.sent = 0
        self.raws: dict[Channel, zmq.Socket[bytes]] = {}
        for channel in Channel:
            raw = scene.context.socket(zmq.XSUB if channel is IOPUB else zmq.DEALER)
            raw.linger = 0
            raw.sndhwm = 0
            raw.connect(scene.info.url(channel))
            self.raws[channel] = raw
        scene.guests.append(self)

    def send(self, channel: Channel, frames: list[Part]) -> None:
        self.raws[channel].send_multipart(frames)
        self.sent += channel in DEALERS

    def close(self) -> None:
        for raw in self.raws.values():
            raw.close()


async def everything_works(scene: Scene, alice: Frontend) -> None:
    """A request, its reply and a broadcast pass, and nothing else has reached this frontend."""
    asked = cell()
    alice.send(asked)
    await scene.sink.reports.next_where(lambda r: r.message is not None and r.client == alice.id)
    answer, said = reply(asked), published("x")
    scene.endpoint.send(alice.id, SHELL, answer)
    scene.endpoint.publish(said)
    assert (await alice.get(SHELL)).msg_id == answer.msg_id
    assert (await alice.get(IOPUB)).msg_id == said.msg_id


def counted(scene: Scene) -> int:
    """Frames of others that were rejected, or taken for messages after all."""
    return scene.sink.rejected_count + sum(
        r.client != (TAG, b"alice") for r in scene.sink.of("sent")
    )


frames = st.tuples(st.sampled_from(list(Channel)), junk_frames(KEY))


@settings(max_examples=2 * settings.default.max_examples if settings.default else 200)
@given(junk=st.lists(frames, min_size=10, max_size=12))
async def test_whatever_is_sent(junk: list[tuple[Channel, list[Part]]]) -> None:
    """2,000 multipart messages, wrong in all ways that Hypothesis comes up with."""
    async with open_scene() as scene:
        alice = scene.frontend(b"alice")
        await alice.welcome()
        vandal = Vandal(scene)
        for channel, wrong in junk:
            vandal.send(channel, wrong)
        await eventually(lambda: counted(scene) == vandal.sent)
        for report in scene.sink.of("rejected"):
            assert report.channel in DEALERS
            assert "\n" not in str(report.error)
        await everything_works(scene, alice)


def bad_messages(count: int, seed: int) -> Iterator[list[Part]]:
    """Random ones, rightly framed in part, none of them valid."""
    chance = random.Random(seed)
    header = b'{"msg_id": "1", "msg_type": "execute_request"}'
    for number in range(count):
        noise = chance.randbytes(chance.randrange(1, 300))
        parts = (noise, noise, noise, noise)
        yield [
            [noise],
            [chance.randbytes(7) for _ in range(chance.randrange(2, 30))],
            [DELIMITER, *[noise] * chance.randrange(8)],
            [DELIMITER, b"0" * 64, header, b"{}", b"{}", b"{}"],
            [DELIMITER, b"", header, b"{}", b"{}", b"{}"],
            frames_of(KEY, (), parts, []),
            frames_of(KEY, (noise[:100],) * 3, parts, []),
            frames_of(KEY, (), (b"x" * (MAX_HEADER_BYTES + 1), b"{}", b"{}", b"{}"), []),
            frames_of(KEY, (), (header[:-3], b"{}", b"{}", b"{}"), []),
            frames_of(KEY, (), (header, b"[", b"{}", b"{}"), []),
        ][number % 10]


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_bad_messages() -> None:
    async with open_scene() as scene:
        alice = scene.frontend(b"alice")
        await alice.welcome()
        vandal = Vandal(scene)
        for number, wrong in enumerate(bad_messages(100_000, seed=0)):
            vandal.send(DEALERS[number % 3], wrong)
            if number % 1000 == 0:
                await everything_works(scene, alice)
        await eventually(lambda: scene.sink.rejected_count == 100_000, 120)
        await everything_works(scene, alice)


GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"
HANDSHAKE = GREETING + b"\x03\x01NULL" + bytes(16 + 1 + 31)


def raw_junk(seed: int) -> Iterator[bytes]:
    """What comes on a TCP connection from somebody who speaks no ZMTP, or badly."""
    chance = random.Random(seed)
    yield from (b"", b"\x00", b"\xff" * 5000, b"\x01\x00", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    yield from (b"SSH-2.0-OpenSSH_9.9\r\n", GREETING, GREETING + b"\x00", HANDSHAKE)
    ready = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    for _ in range(20):
        yield chance.randbytes(chance.randrange(1, 2000))
        yield HANDSHAKE + chance.randbytes(chance.randrange(1, 500))
        yield HANDSHAKE + ready[: chance.randrange(len(ready))]
        yield HANDSHAKE + ready + chance.randbytes(chance.randrange(1, 500))
        yield HANDSHAKE + ready + b"\x03" + b"\xff" * 8 + b"x"  # a frame of 2**64 bytes


@pytest.mark.parametrize("channel", list(Channel))
async def test_whatever_comes_on_the_bare_connection(scene: Scene, channel: Channel) -> None:
    alice = scene.frontend(b"alice")
    await alice.welcome()
    kept: list[socket.socket] = []
    for number, junk in enumerate(raw_junk(seed=list(Channel).index(channel))):
        connection = socket.create_connection(("127.0.0.1", scene.info.port(channel)), timeout=5)
        try:
            connection.sendall(junk)
            if number % 3 == 0:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # libzmq has hung up on it: good
        if number % 3 == 1:
            kept.append(connection)  # says no more, and stays
        else:
            connection.close()
        await trio.lowlevel.checkpoint()
    await everything_works(scene, alice)
    for connection in kept:
        connection.close()
    await everything_works(scene, alice)


async def test_half_open_connections_take_no_turn_from_others(scene: Scene) -> None:
    """Two hundred connections that never say anything, on each port."""
    alice = scene.frontend(b"alice")
    await alice.welcome()
    idle = [
        socket.create_connection(("127.0.0.1", scene.info.port(channel)), timeout=5)
        for channel in Channel
        for _ in range(50)
    ]
    await everything_works(scene, alice)
    for connection in idle:
        connection.close()
    await everything_works(scene, alice)


async def test_a_flood_of_garbage_delays_others_by_turns_only(scene: Scene) -> None:
    """Ten thousand bad messages wait on one port: what comes on another is served between them."""
    alice = scene.frontend(b"alice")
    await alice.welcome()
    alice.send(cell(), CONTROL)
    await scene.sink.next("sent")
    vandal = Vandal(scene)
    for _ in range(10_000):
        vandal.send(SHELL, [b"garbage"])
    await scene.sink.next("rejected")
    alice.send(cell(), CONTROL)
    await scene.sink.next("sent")
    assert scene.sink.rejected_count < 10_000
    await eventually(lambda: scene.sink.rejected_count == 10_000)
    await everything_works(scene, alice)
