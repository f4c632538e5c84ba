"""The stream below a WebSocket: what has arrived, and what has not."""

from __future__ import annotations

import ssl
from pathlib import Path

import trio
import trio.testing

from proxy.endpoints.counted_stream import CountedStream
from proxy.endpoints.tls import tls_context
from tests.inbox import eventually

Pair = tuple[CountedStream, trio.SocketStream]


async def pair() -> Pair:
    """Two ends of a TCP connection of this machine."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        theirs = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        ours = await listener.accept()
    return CountedStream(b"", ours), theirs


async def fill(ours: CountedStream) -> None:
    """Send until no more fits in."""
    with trio.move_on_after(0.3):
        await ours.send_all(bytes(50_000_000))


async def drain(stream: trio.abc.ReceiveStream) -> int:
    """Read until it breaks off or ends. Returns how much that was."""
    received = 0
    try:
        while some := await stream.receive_some(1_000_000):
            received += len(some)
    except trio.BrokenResourceError:
        pass
    return received


async def test_what_the_other_system_has_is_acknowledged() -> None:
    ours, theirs = await pair()
    async with ours, theirs:
        await ours.send_all(b"hello")
        assert ours.sent == 5
        await eventually(lambda: ours.unacknowledged == 0)


async def test_what_does_not_fit_in_is_not_and_is_known_after_it_broke() -> None:
    ours, theirs = await pair()
    await fill(ours)
    sent, left = ours.sent, ours.unacknowledged
    assert 0 < left < sent < 50_000_000, "it is known how much the system took of what was cut off"
    await trio.aclose_forcefully(theirs)
    await drain(ours)
    assert ours.unacknowledged >= left
    await ours.aclose()
    assert ours.unacknowledged >= left


async def test_what_is_given_up_does_not_arrive_any_more() -> None:
    ours, theirs = await pair()
    await fill(ours)
    arrived = ours.sent - ours.unacknowledged
    ours.give_up()
    await ours.aclose()
    assert await drain(theirs) == arrived
    await theirs.aclose()


async def test_pieces_are_sent_in_order_and_nothing_comes_between() -> None:
    ours, theirs = await pair()
    begun: list[int] = []
    async with ours, theirs, trio.open_nursery() as nursery:
        await ours.send_all(b"first ")
        nursery.start_soon(ours.send_in_order, [b"a" * 5_000_000, b"b"], begun.append)
        await eventually(lambda: begun)
        nursery.start_soon(ours.send_all, b"last")
        received = b""
        while not received.endswith(b"last"):
            received += await theirs.receive_some(1_000_000)
    assert received == b"first " + b"a" * 5_000_000 + b"blast"
    assert begun == [6]


async def test_over_tls_and_in_memory_it_counts_what_was_handed_over(
    certificate: Path, trust: ssl.SSLContext
) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        client = trio.SSLStream(
            await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1]),
            trust,
            server_hostname="127.0.0.1",
        )
        nursery.start_soon(client.do_handshake)
        server = trio.SSLStream(await listener.accept(), tls_context(certificate), server_side=True)
        ours = CountedStream(b"", server)
        await ours.send_all(b"hello")
        assert ours.sent == 5
        assert await client.receive_some() == b"hello"
        await eventually(lambda: ours.unacknowledged == 0)
        ours.give_up()
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(server)
    ours = CountedStream(b"", trio.testing.memory_stream_pair()[0])
    await ours.send_all(b"hello")
    assert (ours.sent, ours.unacknowledged) == (5, 0)
