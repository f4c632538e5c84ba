"""Which sessions have changed, for those who look. While nobody does, nothing is noted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from proxy.bell import Bell


class Changes:
    """Notes sessions by their ids."""

    def __init__(self) -> None:
        self._bells: set[Bell] = set()
        self._changed: set[str] = set()

    def note(self, session_id: str) -> None:
        """Something of a session changed, or it began, or is over. Called in each turn of it."""
        if self._bells and session_id not in self._changed:
            self._changed.add(session_id)
            for bell in self._bells:
                bell.ring()

    def take(self) -> set[str]:
        """Return what has changed since this was called last."""
        changed, self._changed = self._changed, set()
        return changed

    @property
    def are_noted(self) -> bool:
        """Whether anybody looks."""
        return bool(self._bells)

    @contextmanager
    def looking(self) -> Iterator[Bell]:
        """Look while the context lasts. The bell rings with the first change after a look."""
        bell = Bell()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)
