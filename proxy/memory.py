"""Give memory back to the system.

After a flood of 100,000 messages glibc keeps 190 MB that nobody uses any more, for good if nobody
asks (malloc_trim(3)); and a process that is quiet by then makes no garbage, so Python does not
collect what it has. Asking takes some 50 ms, so it is asked where memory has grown, and less and
less often where that gives nothing: then it is in use.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

import trio

INTERVAL_SECONDS = 10.0
LONGEST_SECONDS = 3600.0
WORTHWHILE_BYTES = 16 * 1024**2
"""Growth since the lowest that was seen from which on it is tried."""
STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return how much memory this process has in use."""
    return int(STATM.read_text().split()[1]) * _PAGE_BYTES


class Trimming:
    """When to ask, as the size of the process tells."""

    def __init__(self, size: int) -> None:
        self._lowest = self._last = size
        self._pause = INTERVAL_SECONDS
        self._next = 0.0

    def is_due(self, size: int, now: float) -> bool:
        """Whether it is worth to ask now."""
        self._lowest = min(self._lowest, size)
        if size - self._lowest <= WORTHWHILE_BYTES:
            return False
        return now >= self._next or size - self._last > WORTHWHILE_BYTES

    def done(self, before: int, after: int, now: float) -> None:
        """It was asked, and has given so much."""
        in_vain = before - after < WORTHWHILE_BYTES / 16
        self._pause = min(self._pause * 2, LONGEST_SECONDS) if in_vain else INTERVAL_SECONDS
        self._next = now + self._pause
        self._last = after
        self._lowest = min(self._lowest, after)


async def give_back() -> None:
    """Look now and then whether this process has grown, and trim it, until cancelled."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:  # another C library
        return
    trimming = Trimming(resident_bytes())
    while True:
        await trio.sleep(INTERVAL_SECONDS)
        size = resident_bytes()
        if trimming.is_due(size, trio.current_time()):
            gc.collect()
            await trio.to_thread.run_sync(trim, 0)
            trimming.done(size, resident_bytes(), trio.current_time())
