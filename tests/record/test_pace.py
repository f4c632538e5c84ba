"""When records are written: one at a time, and seldom while messages move."""

from __future__ import annotations

import time

import pytest
import trio
from trio.testing import MockClock

from proxy.record import pace as module
from proxy.record.pace import REST, Pace

SLICE_SECONDS = 0.01


class Time:
    """What the clock shows: trio's, so that a slice takes what it is said to take."""

    @staticmethod
    def perf_counter() -> float:
        return trio.current_time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> MockClock:
    monkeypatch.setattr(module, "time", Time)
    return autojump_clock


async def work(pace: Pace, clock: MockClock, slices: int) -> None:
    for _ in range(slices):
        async with pace.turn():
            clock.jump(SLICE_SECONDS)


async def test_while_nothing_moves_it_is_done_at_full_speed(clock: MockClock) -> None:
    pace = Pace(lambda: 0)
    begun = trio.current_time()
    await work(pace, clock, 10)
    assert trio.current_time() - begun == pytest.approx(10 * SLICE_SECONDS)


async def test_while_messages_move_all_records_together_rest(clock: MockClock) -> None:
    moved = 0

    def one_more() -> int:
        nonlocal moved
        moved += 1
        return moved

    pace = Pace(one_more)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(work, pace, clock, 5)
    took = trio.current_time() - begun
    assert took == pytest.approx((20 + 19 * REST) * SLICE_SECONDS)


async def test_nobody_rests_for_what_is_long_over(clock: MockClock) -> None:
    pace = Pace(time.monotonic_ns)  # something moves all the time
    await work(pace, clock, 1)
    await trio.sleep(10 * REST * SLICE_SECONDS)
    begun = trio.current_time()
    await work(pace, clock, 1)
    assert trio.current_time() - begun == pytest.approx(SLICE_SECONDS)


async def test_who_hurries_does_not_rest(clock: MockClock) -> None:
    pace = Pace(time.monotonic_ns)
    await work(pace, clock, 1)
    begun = trio.current_time()
    async with pace.turn(hurries=True):
        pass
    assert trio.current_time() == begun


async def test_they_take_turns(clock: MockClock) -> None:
    pace = Pace()
    order: list[str] = []

    async def write(name: str) -> None:
        for _ in range(3):
            async with pace.turn():
                order.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, "a")
        nursery.start_soon(write, "b")
    assert order in (["a", "b"] * 3, ["b", "a"] * 3)


async def test_after_an_error_the_others_go_on(clock: MockClock) -> None:
    pace = Pace()
    with pytest.raises(ZeroDivisionError):
        async with pace.turn():
            raise ZeroDivisionError
    await work(pace, clock, 1)
