"""Coroutines of asyncio, called from trio."""

from __future__ import annotations

import asyncio
import threading

import pytest
import trio

from proxy.kernels.asyncio_thread import open_asyncio_thread


async def test_a_result_comes_back_from_another_thread() -> None:
    async def where() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    async with open_asyncio_thread() as thread:
        assert await thread.call(where()) == "asyncio"


async def test_an_exception_comes_back() -> None:
    async def fail() -> None:
        raise KeyError("of the coroutine")

    async with open_asyncio_thread() as thread:
        with pytest.raises(KeyError, match="of the coroutine"):
            await thread.call(fail())


async def test_when_cancelled_the_coroutine_is_cancelled() -> None:
    token = trio.lowlevel.current_trio_token()
    started, cancelled = trio.Event(), trio.Event()

    async def wait() -> None:
        token.run_sync_soon(started.set)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            token.run_sync_soon(cancelled.set)
            raise

    async with open_asyncio_thread() as thread, trio.open_nursery() as nursery:
        nursery.start_soon(thread.call, wait())
        with trio.fail_after(10):
            await started.wait()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await cancelled.wait()


async def test_the_thread_ends_with_the_context() -> None:
    before = threading.active_count()
    async with open_asyncio_thread():
        assert threading.active_count() == before + 1
    assert "asyncio" not in [thread.name for thread in threading.enumerate()]
