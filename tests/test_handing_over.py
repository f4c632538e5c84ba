"""What was sent is with the system, and not with libzmq any more."""

from __future__ import annotations

import socket

import pytest
import trio
import zmq

from proxy.handing_over import handed_over
from proxy.message import Part
from proxy.sockets import SocketSet
from tests.inbox import Inbox
from tests.running import Context, open_context

MESSAGES = 300
SIZE = 2000


def _received(receiver: zmq.Socket[bytes]) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < MESSAGES and receiver.poll(5000):
        numbers.append(int(receiver.recv_multipart()[0]))
    return numbers


@pytest.mark.parametrize("attempt", range(10))  # what a thread may do in time is chance
async def test_what_was_sent_arrives_though_its_socket_is_closed_at_once(
    context: Context, sockets: SocketSet, attempt: int
) -> None:
    """With no linger libzmq drops what it still has."""
    raw = context.socket(zmq.DEALER)
    raw.bind("tcp://127.0.0.1:*")
    arrived: Inbox[list[Part]] = Inbox()
    sender = sockets.add(raw, lambda frames, origin: arrived.put(frames))
    with open_context() as other:
        receiver = other.socket(zmq.DEALER)
        receiver.connect(raw.last_endpoint)
        receiver.send(b"here")
        await arrived.next()
        for number in range(MESSAGES):
            sender.send([b"%d" % number, b"x" * SIZE])
        await handed_over(context, sockets)
        sockets.close(sender)
        assert await trio.to_thread.run_sync(_received, receiver) == list(range(MESSAGES))
        receiver.close(linger=0)


async def test_a_peer_that_does_not_read_does_not_hold_it_up(
    context: Context, sockets: SocketSet
) -> None:
    raw = context.socket(zmq.STREAM)
    raw.bind("tcp://127.0.0.1:*")
    address = raw.last_endpoint.decode().removeprefix("tcp://").split(":")
    arrived: Inbox[list[Part]] = Inbox()
    stream = sockets.add(raw, lambda frames, origin: arrived.put(frames))
    with socket.create_connection((address[0], int(address[1]))):
        identity, _ = await arrived.next()
        stream.send([identity, b"x" * 50_000_000])
        with trio.fail_after(5):
            await handed_over(context, sockets)
    sockets.close(stream)


async def test_nothing_is_left_of_it(context: Context, sockets: SocketSet) -> None:
    with trio.move_on_after(0.001):
        await handed_over(context, sockets)
    assert not [each for each in context._sockets if not each.closed]
