"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from proxy.errors import KmuxError

Level = Literal["ok", "warning", "error"]
"""All is well; it works, but somebody should know; something does not work."""
Fix = Callable[[], str]
"""Does what is safe to do, and returns what that was. Looks again first: it may have been done by
somebody else. Raises :class:`KmuxError` and OSError where it cannot be done."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is as it should be, or not."""

    level: Level
    what: str
    advice: str = ""
    """What to do about it."""
    fix: Fix | None = None


def ok(what: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", what)


def warning(what: str, advice: str, fix: Fix | None = None) -> Finding:
    """It works, but somebody should know."""
    return Finding("warning", what, advice, fix)


def error(what: str, advice: str, fix: Fix | None = None) -> Finding:
    """It does not work."""
    return Finding("error", what, advice, fix)


def of_error(failure: KmuxError, advice: str = "kmux daemon logs may say more") -> Finding:
    """Make a finding of an error of kmux's own, whose one line says what to do behind the last
    semicolon. ``advice`` is for one that does not."""
    what, semicolon, said = str(failure).rpartition("; ")
    return error(what, said) if semicolon else error(said, advice)


def some(number: int, what: str) -> str:
    """Return a number of things: "1 session", "2 sessions"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
