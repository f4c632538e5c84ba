"""asyncio code on a thread of its own: results, errors, cancellation."""

from __future__ import annotations

import asyncio
import threading

import pytest
import trio

from proxy.kernels.asyncio_thread import open_asyncio_thread


async def test_a_result_comes_back() -> None:
    async def add(a: int, b: int) -> tuple[int, str]:
        await asyncio.sleep(0)
        return a + b, threading.current_thread().name

    async with open_asyncio_thread() as thread:
        result, name = await thread.call(add(1, 2))
    assert result == 3
    assert name == "asyncio"
    assert threading.current_thread().name != "asyncio"


async def test_an_error_comes_back_as_it_is() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise FileNotFoundError("no such kernel")

    async with open_asyncio_thread() as thread:
        with pytest.raises(FileNotFoundError, match="no such kernel"):
            await thread.call(fail())


async def test_calls_run_side_by_side() -> None:
    """A kernel that is long in starting holds up no signal to another one."""
    first_is_there = asyncio.Event()
    order: list[str] = []

    async def wait() -> None:
        order.append("waits")
        await first_is_there.wait()
        order.append("goes on")

    async def release() -> None:
        order.append("releases")
        first_is_there.set()

    async with open_asyncio_thread() as thread:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(thread.call, wait())
                await trio.testing.wait_all_tasks_blocked()
                await thread.call(release())
    assert order == ["waits", "releases", "goes on"]


async def test_who_is_cancelled_does_not_wait_and_the_coroutine_is_cancelled_too() -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def hang() -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with open_asyncio_thread() as thread:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(thread.call, hang())
            await trio.to_thread.run_sync(began.wait, 10)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(cancelled.wait, 10)


async def test_a_coroutine_that_will_not_be_cancelled_holds_up_nobody() -> None:
    began, release, ended = threading.Event(), threading.Event(), threading.Event()

    async def stubborn() -> None:
        began.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue
        ended.set()

    async def still_works() -> str:
        return "yes"

    async with open_asyncio_thread() as thread:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(thread.call, stubborn())
                await trio.to_thread.run_sync(began.wait, 10)
                nursery.cancel_scope.cancel()
        assert not ended.is_set()
        assert await thread.call(still_works()) == "yes"
        release.set()
        assert await trio.to_thread.run_sync(ended.wait, 10)


async def test_a_result_that_comes_when_nobody_waits_any_more_is_dropped() -> None:
    began, release = threading.Event(), threading.Event()

    async def late() -> str:
        began.set()
        await asyncio.get_running_loop().run_in_executor(None, release.wait, 10)
        return "late"

    async def next_one() -> str:
        return "in time"

    async with open_asyncio_thread() as thread:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(thread.call, late())
            await trio.to_thread.run_sync(began.wait, 10)
            nursery.cancel_scope.cancel()
        release.set()
        assert await thread.call(next_one()) == "in time"


async def test_the_thread_ends_with_its_context() -> None:
    before = set(threading.enumerate())
    async with open_asyncio_thread():
        (thread,) = set(threading.enumerate()) - before
        assert thread.daemon, "one that hangs does not keep kmux from ending"
    assert not thread.is_alive()


async def test_also_when_it_is_cancelled() -> None:
    before = set(threading.enumerate())
    with trio.CancelScope() as scope:
        async with open_asyncio_thread():
            (thread,) = set(threading.enumerate()) - before
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert not thread.is_alive()
