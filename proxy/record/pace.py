"""When the records of a process may write: one at a time, a little at a time, and seldom while
messages move.

Whoever writes a record has the interpreter to itself meanwhile (Automerge does not let go of it),
and nobody's message gets on. So what there is to do is done in slices, and after each one all
records rest for some times as long, if messages moved since the one before. What is quiet is
written down at full speed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

REST = 4.0
"""Times a slice: while messages move, all records together take a fifth of the time."""


class Pace:
    """What the records of a process share. ``moved`` counts how often messages moved."""

    def __init__(self, moved: Callable[[], int] = lambda: 0) -> None:
        self._moved = moved
        self._seen = moved()
        self._rested_at = 0.0
        """When all have rested for the last slice."""
        self._one_at_a_time = trio.Lock()

    @asynccontextmanager
    async def turn(self, *, hurries: bool = False) -> AsyncIterator[None]:
        """Wait until some of the work may be done, and do it in the block, without a checkpoint.

        Who ``hurries`` does not rest before.
        """
        async with self._one_at_a_time:
            left = self._rested_at - time.perf_counter()
            if left > 0 and not hurries and self._moved() != self._seen:
                await trio.sleep(left)
            self._seen = self._moved()
            begun = time.perf_counter()
            try:
                yield
            finally:
                ended = time.perf_counter()
                self._rested_at = ended + REST * (ended - begun)
