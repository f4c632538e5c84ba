"""What the kernel is asked about widgets, and when."""

from __future__ import annotations

from proxy.message import MsgId
from proxy.session.doubts import MAX_CAUSES, Doubts

CAUSE, OTHER, ASKED, AGAIN = (MsgId(name) for name in ("cause", "other", "asked", "again"))


def in_doubt() -> Doubts:
    doubts = Doubts()
    doubts.arise(CAUSE, "slider")
    return doubts


def test_the_kernel_is_asked_when_it_is_done_with_the_cause_and_the_answer_settles_it() -> None:
    doubts = in_doubt()
    assert doubts.idled(OTHER) is None
    assert "slider" in doubts
    assert doubts.idled(CAUSE) == "slider"
    doubts.asked("slider", ASKED)
    assert doubts.is_answer(ASKED, "slider")
    assert not doubts.is_answer(ASKED, "another")
    assert not doubts.is_answer(OTHER, "slider")
    assert "slider" in doubts
    assert doubts.idled(ASKED) is None
    assert ("slider" in doubts, len(doubts)) == (False, 0)


def test_there_is_one_question_at_a_time() -> None:
    doubts = in_doubt()
    doubts.asked("slider", ASKED)
    doubts.arise(OTHER, "slider")
    assert doubts.idled(OTHER) is None, "it is asked already"
    assert doubts.idled(CAUSE) is None
    assert doubts.idled(ASKED) == "slider", "the answer may be older than the doubt"
    doubts.asked("slider", AGAIN)
    assert doubts.idled(AGAIN) is None
    assert len(doubts) == 0


def test_nobody_asks_for_a_comm_that_is_closed() -> None:
    doubts = in_doubt()
    doubts.arise(OTHER, "other")
    doubts.asked("slider", ASKED)
    doubts.closed("slider")
    assert "slider" not in doubts
    assert doubts.idled(CAUSE) is None
    assert doubts.idled(OTHER) == "other"


def test_causes_whose_idle_never_comes_are_bounded() -> None:
    doubts = Doubts()
    for n in range(2 * MAX_CAUSES):
        doubts.arise(MsgId(f"m{n}"), f"c{n}")
    assert len(doubts) == MAX_CAUSES
    doubts.clear()
    assert len(doubts) == 0
