"""What changed, for those who look."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from proxy.daemon.changes import Changes


async def test_while_nobody_looks_nothing_is_noted() -> None:
    changes = Changes()
    changes.note("a")
    assert not changes.are_noted
    with changes.looking():
        changes.note("b")
        assert changes.are_noted
    changes.note("c")
    assert changes.take() == {"b"}


async def test_all_who_look_are_woken_by_the_first_change_after_a_look() -> None:
    changes, woken = Changes(), list[int]()

    async def look(number: int) -> None:
        with changes.looking() as bell:
            while True:
                await bell.wait()
                woken.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(look, number)
        await wait_all_tasks_blocked()
        changes.note("a")
        await wait_all_tasks_blocked()
        assert sorted(woken) == [0, 1]
        changes.note("a")
        await wait_all_tasks_blocked()
        assert len(woken) == 2, "nobody has looked since"
        assert changes.take() == {"a"}
        changes.note("a")
        await wait_all_tasks_blocked()
        assert sorted(woken) == [0, 0, 1, 1]
        nursery.cancel_scope.cancel()
