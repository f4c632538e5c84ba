"""A bell that one waits for."""

from __future__ import annotations

import trio
import trio.testing

from proxy.bell import Bell


async def test_it_wakes_once_for_however_often_it_was_rung() -> None:
    bell = Bell()
    woken: list[float] = []

    async def wait_again_and_again() -> None:
        while True:
            await bell.wait()
            woken.append(trio.current_time())

    bell.ring()  # before anybody waits
    bell.ring()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_again_and_again)
        await trio.testing.wait_all_tasks_blocked()
        assert len(woken) == 1
        bell.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert len(woken) == 2
        nursery.cancel_scope.cancel()
