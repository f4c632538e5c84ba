"""What is done now and then is done at the same moments."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from proxy.pulse import beat


async def test_whoever_begins_when_all_wake_up_together(autojump_clock: MockClock) -> None:
    woke: list[float] = []

    async def wake_up_now_and_then() -> None:
        for _ in range(3):
            await beat(3.0)
            woke.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(wake_up_now_and_then)
            await trio.sleep(0.5)
    assert len(woke) == 15
    assert len(set(woke)) == 3
    assert all(time % 3.0 == 0.0 for time in woke)
