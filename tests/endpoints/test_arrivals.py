"""What of all that was sent has arrived: pings, TCP, and whom to believe."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from proxy.endpoints.arrivals import (
    ASK_BYTES,
    ASK_SECONDS,
    ASKS_IN_A_ROW,
    LATE_SECONDS,
    MAX_MARKS,
    Arrivals,
)

CLEAN, BROKE_OFF = 1000, 1006


class Connection:
    """As much of one as counts bytes and pings."""

    def __init__(self) -> None:
        self.sent = self.unacknowledged = 0
        self.given_up = False
        self.pings: dict[bytes, Any] = {}
        self.arrivals = Arrivals(cast("Any", self), self.pings)

    def give_up(self) -> None:
        self.given_up = True

    def send(self, *marks: int, size: int = 10) -> int:
        """Send frames. Returns how many pings went along."""
        frames = self.arrivals.with_questions([(bytes(size), mark) for mark in marks])
        self.arrivals.note(self.sent, frames)
        total = sum(len(each) for each, _ in frames)
        self.sent += total
        self.unacknowledged += total
        return sum(mark is None for _, mark in frames)

    def answer(self) -> None:
        """Answer the oldest ping, as trio-websocket takes it."""
        self.pings.pop(next(iter(self.pings))).set()


async def test_what_came_before_a_ping_has_arrived_when_that_is_answered() -> None:
    alice = Connection()
    alice.arrivals.begin_at(5)
    assert not alice.arrivals.is_under_way
    assert alice.send(6, 7) == 2
    alice.send(8)
    assert (alice.arrivals.reached, alice.arrivals.is_under_way) == (5, True)
    alice.answer()
    assert alice.arrivals.reached == 6, "who reads up to the last frame, and no further"
    alice.answer()
    assert (alice.arrivals.reached, alice.arrivals.is_under_way) == (7, True)
    alice.answer()
    assert (alice.arrivals.reached, alice.arrivals.is_under_way) == (8, False)


async def test_it_asks_within_what_is_large() -> None:
    assert Connection().send(1, 2, 3, size=ASK_BYTES + 1) == 3


async def test_it_asks_now_and_then_where_it_goes_on_without_a_pause(
    autojump_clock: MockClock,
) -> None:
    alice = Connection()
    asked = sum(alice.send(number) for number in range(1, 101))
    assert asked == ASKS_IN_A_ROW
    assert alice.arrivals.is_to_be_asked, "in the end"
    await trio.sleep(ASK_SECONDS * 1.5)
    assert [alice.send(101), alice.send(102)] == [2, 0], "ahead of it and behind it"
    alice.arrivals.question()
    assert not alice.arrivals.is_to_be_asked


async def test_it_always_asks_when_nothing_more_comes() -> None:
    """A script stops reading with the last frame, and may be gone then."""
    alice = Connection()
    for number in range(1, ASKS_IN_A_ROW + 5):
        alice.send(number)
    frames = alice.arrivals.with_questions([(b"idle", 100)], at_rest=True)
    assert [mark for _, mark in frames] == [None, 100, None]


@pytest.mark.parametrize("at_rest", [True, False])
async def test_where_it_breaks_off_pings_are_believed(at_rest: bool) -> None:
    """A tunnel may have acknowledged what nobody will read."""
    alice = Connection()
    alice.send(1)
    alice.answer()
    alice.send(2)
    alice.unacknowledged = 0
    for code in (None, BROKE_OFF):
        assert alice.arrivals.at_the_end(code, at_rest=at_rest) == 1
    assert not alice.given_up


async def test_who_says_goodbye_in_the_middle_has_not_read_all() -> None:
    alice = Connection()
    alice.send(1)
    alice.unacknowledged = 0
    assert alice.arrivals.at_the_end(CLEAN, at_rest=False) == 0


async def test_who_says_goodbye_when_nothing_more_comes_has_read_what_it_has() -> None:
    alice = Connection()
    alice.send(1)
    alice.unacknowledged = 0
    alice.send(2)
    assert alice.arrivals.at_the_end(CLEAN, at_rest=True) == 1
    assert alice.arrivals.at_the_end(CLEAN, at_rest=True) == 1, "also when it is asked again"


async def test_who_answers_late_and_says_goodbye_has_read_what_it_has(
    autojump_clock: MockClock,
) -> None:
    alice = Connection()
    alice.send(1)
    alice.unacknowledged = 0
    await trio.sleep(LATE_SECONDS * 1.1)
    assert alice.arrivals.at_the_end(CLEAN, at_rest=False) == 1


async def test_what_has_not_arrived_when_we_end_it_does_not() -> None:
    alice = Connection()
    alice.send(1)
    assert alice.arrivals.end_here() == 0
    assert alice.given_up


async def test_marks_are_not_kept_for_ever() -> None:
    alice = Connection()
    for number in range(1, 2 * MAX_MARKS):
        alice.send(number)
        alice.unacknowledged = 0
    assert len(alice.arrivals._marks) <= MAX_MARKS + 1
    assert alice.arrivals.at_the_end(CLEAN, at_rest=True) == 2 * MAX_MARKS - 1
