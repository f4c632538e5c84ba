"""Run a library of asyncio from trio: in a thread with a loop of its own, until it is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import outcome
import trio

T = TypeVar("T")


async def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what the coroutine does, or raise it.

    When cancelled, the coroutine is, and has ended before this has: whatever it was writing is not
    written to any more.
    """
    await trio.lowlevel.checkpoint()
    begun: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    outcomes: list[outcome.Outcome[T]] = []
    cancelled = False

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        begun.append((asyncio.get_running_loop(), task))
        if not cancelled:
            outcomes.append(await outcome.acapture(work))

    def in_thread() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())

    async def pass_cancellation_on() -> None:
        nonlocal cancelled
        try:
            await trio.sleep_forever()
        finally:
            cancelled = True
            for loop, task in begun:
                with contextlib.suppress(RuntimeError):  # it is done
                    loop.call_soon_threadsafe(task.cancel)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_cancellation_on)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(in_thread)
        nursery.cancel_scope.cancel()
    await trio.lowlevel.checkpoint_if_cancelled()
    return outcomes[0].unwrap()
