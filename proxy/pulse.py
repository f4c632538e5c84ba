"""What is to be done now and then, in many places, is done at the same moments.

A process that has fifty sessions wakes up for all of them at once: a wake-up costs several times
what is done in it.
"""

from __future__ import annotations

import trio


async def beat(seconds: float) -> None:
    """Wait until the clock shows the next multiple of so many seconds."""
    await trio.sleep_until((trio.current_time() // seconds + 1) * seconds)
