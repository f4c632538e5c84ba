"""Give memory back to the system.

After a flood of 100,000 messages glibc keeps 190 MB that nobody uses any more, for good if nobody
asks (malloc_trim(3)). Asking takes 29 ms then, and nothing where there is nothing to give.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import trio

INTERVAL_SECONDS = 10.0
WORTHWHILE_BYTES = 16 * 1024**2
"""Growth since the last time from which on it is tried."""
STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return how much memory this process has in use."""
    return int(STATM.read_text().split()[1]) * _PAGE_BYTES


async def give_back() -> None:
    """Look now and then whether this process has grown, and trim it, until cancelled."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:  # another C library
        return
    settled = resident_bytes()
    while True:
        await trio.sleep(INTERVAL_SECONDS)
        if resident_bytes() - settled > WORTHWHILE_BYTES:
            await trio.to_thread.run_sync(trim, 0)
            settled = resident_bytes()
        else:
            settled = min(settled, resident_bytes())
