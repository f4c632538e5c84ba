"""What happened and is to be recorded, until the event that brought it is handled."""

from __future__ import annotations

from proxy.session.facts import Fact


class Diary:
    """Facts in order. One that is not kept takes none."""

    __slots__ = ("facts", "kept")

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self.facts: list[Fact] = []

    def note(self, fact: Fact) -> None:
        """Remember one, if anybody does."""
        if self.kept:
            self.facts.append(fact)

    def take(self) -> list[Fact]:
        """Return what was noted, and forget it."""
        facts, self.facts = self.facts, []
        return facts
