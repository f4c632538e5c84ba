"""What came in, for tests that wait for it: with a deadline, never with a sleep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")

DEADLINE_SECONDS = 10.0


async def eventually(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for what tells nobody when it happens: look again and again, until the deadline."""
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.002)


class Inbox(Generic[T]):
    """A list that can be waited on."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._read = 0
        self._changed = trio.Event()

    def __len__(self) -> int:
        return len(self.items)

    def put(self, item: T) -> None:
        """Add one, and wake who waits."""
        self.items.append(item)
        self._changed.set()

    async def next(self, seconds: float = DEADLINE_SECONDS) -> T:
        """Wait for the next item that was not read before."""
        await self.until(lambda items: len(items) > self._read, seconds)
        self._read += 1
        return self.items[self._read - 1]

    async def next_where(self, wanted: Callable[[T], bool], seconds: float = DEADLINE_SECONDS) -> T:
        """Wait for the next item of this kind; what comes before it counts as read."""
        with trio.fail_after(seconds):
            while True:
                item = await self.next(seconds)
                if wanted(item):
                    return item

    async def until(
        self, condition: Callable[[list[T]], bool], seconds: float = DEADLINE_SECONDS
    ) -> list[T]:
        """Wait until all that came fulfils the condition, and return it."""
        with trio.fail_after(seconds):
            while not condition(self.items):
                self._changed = trio.Event()
                await self._changed.wait()
        return self.items

    @property
    def unread(self) -> list[T]:
        """What came in and was not read."""
        return self.items[self._read :]
