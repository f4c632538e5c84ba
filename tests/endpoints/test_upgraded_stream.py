"""The stream below a WebSocket."""

from __future__ import annotations

import trio
import trio.testing

from proxy.endpoints.upgraded_stream import UpgradedStream


async def test_what_was_given_back_is_read_first() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    stream = UpgradedStream(b"hello", ours)
    await theirs.send_all(b" world")
    assert await stream.receive_some() == b"hello"
    assert await stream.receive_some() == b" world"
    await stream.send_all(b"hi")
    assert await theirs.receive_some() == b"hi"
    await stream.wait_send_all_might_not_block()
    await stream.aclose()
    assert await theirs.receive_some() == b""


async def test_pieces_go_out_with_nothing_between() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    stream = UpgradedStream(b"", ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_in_order, [b"one ", b"two ", b"three "])
        nursery.start_soon(stream.send_all, b"four ")
        nursery.start_soon(stream.send_in_order, [b"five ", b"six"])
    await stream.aclose()
    said = b"".join([bytes(piece) async for piece in theirs])
    assert b"one two three " in said
    assert b"five six" in said
    assert len(said) == len(b"one two three four five six")
