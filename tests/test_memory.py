"""Memory that nobody uses any more goes back to the system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from proxy.memory import Trimming

MB = 1024**2
HAS_GLIBC = "glibc" in os.confstr("CS_GNU_LIBC_VERSION") if hasattr(os, "confstr") else False

FLOOD = """
import trio, trio.testing
from proxy import memory

async def main():
    clock = trio.lowlevel.current_clock()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(memory.give_back)
        await trio.testing.wait_all_tasks_blocked()
        before = memory.resident_bytes()
        flood = [bytes(2000) for _ in range(50_000)]
        last = flood[-1]  # keeps the heap from shrinking by itself
        del flood
        kept = memory.resident_bytes() - before
        clock.jump(memory.INTERVAL_SECONDS)
        with trio.move_on_after(5):
            while memory.resident_bytes() - before > kept / 2:
                await trio.testing.wait_all_tasks_blocked(0.01)
        print(kept, memory.resident_bytes() - before)
        nursery.cancel_scope.cancel()

trio.run(main, clock=trio.testing.MockClock(rate=1))
"""


@pytest.mark.skipif(not HAS_GLIBC, reason="only glibc keeps it")
def test_what_a_flood_left_is_given_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FLOOD], capture_output=True, text=True, check=True, timeout=30
    )
    kept, left = map(int, ran.stdout.split())
    assert kept > 50e6, "without kmux it stays"
    assert left < kept / 4


def test_what_gives_nothing_is_asked_for_less_and_less_until_there_is_more() -> None:
    trimming = Trimming(50 * MB)
    assert not trimming.is_due(60 * MB, 0)
    asked = []
    for now in range(0, 7200, 10):
        if trimming.is_due(100 * MB, now):
            trimming.done(100 * MB, 100 * MB, now)
            asked.append(now)
    assert 5 < len(asked) < 12
    assert trimming.is_due(120 * MB, 7200), "it has grown"


def test_what_was_let_go_of_later_is_given_back_as_well() -> None:
    """The size that it had while that was in use is not the size to go by."""
    trimming = Trimming(50 * MB)
    assert trimming.is_due(100 * MB, 0)
    trimming.done(100 * MB, 95 * MB, 0)
    assert trimming.is_due(95 * MB, 10)
    trimming.done(95 * MB, 58 * MB, 10)
    assert not trimming.is_due(58 * MB, 100)
