"""What the kernel is asked about widgets, and when."""

from __future__ import annotations

from proxy.message import MsgId
from proxy.session.doubts import MAX_CAUSES, Doubts

CAUSE, OTHER, ASKED, AGAIN = (MsgId(name) for name in ("cause", "other", "asked", "again"))


def in_doubt() -> Doubts:
    doubts = Doubts()
    doubts.arise(CAUSE, "slider")
    return doubts


def test_the_kernel_can_be_asked_when_it_is_done_with_the_cause_and_the_answer_settles_it() -> None:
    doubts = in_doubt()
    doubts.idled(OTHER)
    assert ("slider" in doubts, doubts.to_ask) == (True, ())
    doubts.idled(CAUSE)
    assert ("slider" in doubts, doubts.to_ask) == (True, ("slider",))
    doubts.asked("slider", ASKED)
    assert ("slider" in doubts, doubts.to_ask) == (True, ())
    assert (doubts.asked_by(ASKED), doubts.asked_by(OTHER)) == ("slider", None)
    doubts.idled(ASKED)
    assert ("slider" in doubts, len(doubts)) == (False, 0)


def test_an_answer_that_is_older_than_a_doubt_does_not_settle_it() -> None:
    doubts = in_doubt()
    doubts.idled(CAUSE)
    doubts.asked("slider", ASKED)
    doubts.arise(OTHER, "slider")
    doubts.idled(ASKED)
    doubts.idled(OTHER)
    assert doubts.to_ask == ("slider",)


def test_nobody_asks_for_a_comm_that_is_closed() -> None:
    doubts = in_doubt()
    doubts.arise(OTHER, "other")
    doubts.idled(CAUSE)
    doubts.asked("slider", ASKED)
    doubts.arise(CAUSE, "slider")
    doubts.closed("slider")
    doubts.idled(CAUSE)
    assert "slider" not in doubts
    doubts.idled(OTHER)
    assert doubts.to_ask == ("other",)
    doubts.clear()
    assert len(doubts) == 0


def test_causes_whose_idle_never_comes_are_bounded() -> None:
    doubts = Doubts()
    for n in range(2 * MAX_CAUSES):
        doubts.arise(MsgId(f"m{n}"), f"c{n % 7}")
    assert len(doubts) == MAX_CAUSES + 7
