"""Wake a task that may be awake: a :class:`trio.Event` that can be waited for again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


class Bells:
    """For all who look at something."""

    def __init__(self) -> None:
        self._bells: set[Bell] = set()

    def __bool__(self) -> bool:
        return bool(self._bells)

    def ring(self) -> None:
        """Wake all who wait."""
        for bell in self._bells:
            bell.ring()

    @contextmanager
    def looking(self) -> Iterator[Bell]:
        """Have a bell of one's own while the context lasts."""
        bell = Bell()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)
