"""Which sessions have changed, for those who look. While nobody does, nothing is noted."""

from __future__ import annotations

from contextlib import AbstractContextManager

from proxy.bell import Bell, Bells


class Changes:
    """Notes sessions by their ids."""

    def __init__(self) -> None:
        self._bells = Bells()
        self._changed: set[str] = set()

    def note(self, session_id: str) -> None:
        """Something of a session changed, or it began, or is over. Called in each turn of it."""
        if self._bells and session_id not in self._changed:
            self._changed.add(session_id)
            self._bells.ring()

    def take(self) -> set[str]:
        """Return what has changed since this was called last."""
        changed, self._changed = self._changed, set()
        return changed

    @property
    def are_noted(self) -> bool:
        """Whether anybody looks."""
        return bool(self._bells)

    def looking(self) -> AbstractContextManager[Bell]:
        """Look while the context lasts. The bell rings with the first change after a look."""
        return self._bells.looking()
