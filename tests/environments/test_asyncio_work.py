"""A coroutine of asyncio, run from trio."""

from __future__ import annotations

import asyncio
import threading

import pytest
import trio

from proxy.environments import asyncio_work

pytestmark = pytest.mark.trio


async def test_what_it_returns_and_raises() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 42

    async def fail() -> int:
        raise ValueError("no")

    assert await asyncio_work.run(work) == 42
    with pytest.raises(ValueError, match="no"):
        await asyncio_work.run(fail)


async def test_when_cancelled_it_has_ended_before() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asyncio_work.run, work)
            await trio.to_thread.run_sync(begun.wait)
            nursery.cancel_scope.cancel()
    assert ended.is_set()


async def test_one_that_was_cancelled_before_it_began_does_nothing() -> None:
    done = False

    async def work() -> None:
        nonlocal done
        done = True
        await asyncio.sleep(60)

    with trio.fail_after(20), trio.CancelScope() as scope:
        scope.cancel()
        await asyncio_work.run(work)
    assert not done


async def test_trio_goes_on_meanwhile() -> None:
    release = trio.Event()
    token = trio.lowlevel.current_trio_token()

    async def work() -> None:
        token.run_sync_soon(release.set)
        await asyncio.sleep(0.01)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asyncio_work.run, work)
            await release.wait()
