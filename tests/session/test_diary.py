"""Facts wait for the end of the event that brought them."""

from __future__ import annotations

from proxy.session.diary import Diary
from proxy.session.facts import KernelEnded


def test_facts_are_taken_once_and_in_order() -> None:
    diary = Diary(kept=True)
    facts = [KernelEnded(at=float(n), reason="") for n in range(3)]
    for fact in facts:
        diary.note(fact)
    assert diary.take() == facts
    assert diary.take() == []


def test_one_that_nobody_keeps_takes_none() -> None:
    diary = Diary(kept=False)
    diary.note(KernelEnded(at=0.0, reason=""))
    assert diary.take() == []
