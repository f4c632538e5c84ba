"""Is the kernel still there? Told when it changes, and only then."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from proxy.kernels import heartbeat
from proxy.kernels.heartbeat import INTERVAL_SECONDS, MISSED_LIMIT, watch
from proxy.sockets import Unreachable

LATE = (MISSED_LIMIT + 2.2) * INTERVAL_SECONDS
"""Not a multiple of the interval: a change must not fall together with a beat."""


class Kernel:
    """Beats, or does not."""

    def __init__(self) -> None:
        self.heartbeat_heard: float | None = None
        self.beats = True
        self.reachable = True
        self.pings = 0

    def ping(self) -> None:
        self.pings += 1
        if not self.reachable:
            raise Unreachable
        if self.beats:
            self.heartbeat_heard = trio.current_time()


@pytest.fixture(autouse=True)
def mock_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Time:
        monotonic = staticmethod(trio.current_time)

    monkeypatch.setattr(heartbeat, "time", Time)


async def told(kernel: Kernel, *steps: tuple[float, str, bool]) -> list[bool]:
    """Let some time pass before each change of the kernel, and collect what is told."""
    heard: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, kernel, heard.append)
        for seconds, what, value in steps:
            await trio.sleep(seconds)
            setattr(kernel, what, value)
        await trio.sleep(3 * LATE)
        nursery.cancel_scope.cancel()
    return heard


async def test_a_kernel_that_beats_is_told_of_once(autojump_clock: MockClock) -> None:
    kernel = Kernel()
    assert await told(kernel) == [True]
    assert kernel.pings > 2 * MISSED_LIMIT


async def test_one_that_stops_and_begins_again(autojump_clock: MockClock) -> None:
    kernel = Kernel()
    assert await told(kernel, (LATE, "beats", False), (2 * LATE, "beats", True)) == [
        True,
        False,
        True,
    ]


async def test_a_short_silence_is_none(autojump_clock: MockClock) -> None:
    """A cell that holds the interpreter for some seconds."""
    kernel = Kernel()
    silence = (MISSED_LIMIT - 1) * INTERVAL_SECONDS
    assert await told(kernel, (LATE, "beats", False), (silence, "beats", True)) == [True]


async def test_one_that_is_long_in_coming_up_is_not_dead(autojump_clock: MockClock) -> None:
    kernel = Kernel()
    kernel.beats = False
    assert await told(kernel, (10 * LATE, "beats", True)) == [True]


async def test_one_that_cannot_be_reached_is_asked_again(autojump_clock: MockClock) -> None:
    kernel = Kernel()
    assert await told(kernel, (LATE, "reachable", False), (2 * LATE, "reachable", True)) == [
        True,
        False,
        True,
    ]
