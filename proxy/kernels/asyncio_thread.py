"""One asyncio loop in one thread, for jupyter_client's managers and provisioners.

They are asyncio code, some of it blocking; kmux runs on trio. :meth:`AsyncioThread.call` carries
a coroutine over and its result back.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import trio

T = TypeVar("T")


class AsyncioThread:
    """Made by :func:`open_asyncio_thread`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the asyncio loop and return its result, or raise its exception.

        When cancelled, the coroutine is cancelled as well, and not waited for.
        """
        token = trio.lowlevel.current_trio_token()
        done = trio.Event()
        future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)

        def wake(_: Future[T]) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(done.set)

        future.add_done_callback(wake)
        try:
            await done.wait()
        except trio.Cancelled:
            future.cancel()
            raise
        return future.result()


@asynccontextmanager
async def open_asyncio_thread() -> AsyncIterator[AsyncioThread]:
    """Run an asyncio loop in a thread while the context lasts."""
    loop = asyncio.new_event_loop()
    # A daemon thread: a provisioner that hangs must not keep kmux from ending.
    thread = threading.Thread(target=loop.run_forever, name="asyncio", daemon=True)
    thread.start()
    try:
        yield AsyncioThread(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join, 2.0)
        if not thread.is_alive():
            loop.close()
