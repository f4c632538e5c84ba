"""Memory that nobody uses any more goes back to the system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
