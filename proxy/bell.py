"""Wake a task that may be awake: a :class:`trio.Event` that can be waited for again and again."""

from __future__ import annotations

import trio


class Bell:
    """For one who waits."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Wake the one who waits, or have it not wait the next time."""
        self._rung.set()

    async def wait(self) -> None:
        """Wait until it is rung, or was since the last time."""
        await self._rung.wait()
        self._rung = trio.Event()
