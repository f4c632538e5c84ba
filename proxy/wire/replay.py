"""Refuse a signed message that was seen before, as jupyter_client's Session does."""

from __future__ import annotations

REMEMBERED_SIGNATURES = 2**16
"""As many as jupyter_client's ``Session.digest_history_size``."""


class ReplayGuard:
    """Remember the latest signatures: between one and two times ``REMEMBERED_SIGNATURES`` / 2."""

    __slots__ = ("_new", "_old")

    def __init__(self) -> None:
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def seen(self, signature: bytes) -> bool:
        """Whether this signature came before; remembers it. Unsigned messages never did."""
        if not signature:
            return False
        if signature in self._new or signature in self._old:
            return True
        self._new.add(signature)
        if len(self._new) >= REMEMBERED_SIGNATURES // 2:
            self._old, self._new = self._new, set()
        return False
