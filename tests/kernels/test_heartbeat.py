"""Is the kernel still there? On trio's own clock."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from proxy.kernels import heartbeat
from proxy.kernels.heartbeat import INTERVAL_SECONDS, MISSED_LIMIT


class Channels:
    """A kernel that answers as long as it is alive, and the clock of the test."""

    def __init__(self) -> None:
        self.alive = False
        self.pings = 0
        self.heartbeat_heard: float | None = None

    def ping(self) -> None:
        self.pings += 1
        if self.alive:
            self.heartbeat_heard = trio.current_time()


async def test_it_is_told_when_a_kernel_stops_and_starts_to_answer(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat.time, "monotonic", trio.current_time)
    channels, told = Channels(), []
    nursery.start_soon(heartbeat.watch, channels, told.append)
    await trio.sleep(100 * INTERVAL_SECONDS)
    assert told == [], "a kernel may take long to come up"
    channels.alive = True
    await trio.sleep(10 * INTERVAL_SECONDS)
    assert told == [True]
    channels.alive = False
    await trio.sleep((MISSED_LIMIT - 1) * INTERVAL_SECONDS)
    assert told == [True], "one beat may be missed"
    await trio.sleep(3 * INTERVAL_SECONDS)
    assert told == [True, False]
    channels.alive = True
    await trio.sleep(3 * INTERVAL_SECONDS)
    assert told == [True, False, True]
    assert channels.pings <= 1 + trio.current_time() / INTERVAL_SECONDS + 1
