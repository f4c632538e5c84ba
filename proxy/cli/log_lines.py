"""A line of the daemon's log: which ones are wanted, and how it looks on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click
import msgspec

COLOURS = {"debug": "bright_black", "info": "green", "warning": "yellow", "error": "red"}
LEVELS = list(COLOURS)
WIDTH = max(map(len, LEVELS))
APART = {"timestamp", "level", "event", "session", "exception"}
"""Keys with a place of their own."""


def is_wanted(line: bytes, session: str | None, level: str | None) -> bool:
    """Whether a line is of this session, and at least of this level; None: whichever.

    A line that is not ours has no session, and counts as the most severe.
    """
    entry = _entry(line)
    if session is not None and (entry is None or entry.get("session") != session):
        return False
    if level is None or entry is None or entry.get("level") not in LEVELS:
        return True
    return LEVELS.index(_raw(entry, "level")) >= LEVELS.index(level)


def render(line: bytes) -> str:
    """Show a line to a person: time, level, session, event, and the rest as ``key=value``.

    Nothing in it can do something to the terminal: much of a log is what kernels and clients wrote.
    """
    entry = _entry(line)
    if entry is None:
        return _harmless(line.decode("utf-8", "backslashreplace"))
    level = _text(entry, "level")
    session = f"{click.style(_text(entry, 'session'), fg='cyan')} " if "session" in entry else ""
    shown = [
        click.style(_time(_text(entry, "timestamp")), dim=True),
        click.style(level.ljust(WIDTH), fg=COLOURS.get(level)),
        session + click.style(_text(entry, "event"), bold=True),
    ]
    shown += [
        f"{click.style(_harmless(key), dim=True)}={_value(value)}"
        for key, value in entry.items()
        if key not in APART
    ]
    lines = [" ".join(shown)]
    lines += ["    " + _harmless(below) for below in _raw(entry, "exception").splitlines()]
    return "\n".join(lines)


def _entry(line: bytes) -> Mapping[str, object] | None:
    """Decode a line. None: it is none of ours."""
    try:
        return msgspec.json.decode(line, type=dict[str, object])
    except (ValueError, RecursionError):
        return None


def _raw(entry: Mapping[str, object], key: str) -> str:
    return str(entry.get(key, ""))


def _text(entry: Mapping[str, object], key: str) -> str:
    return _harmless(_raw(entry, key))


def _time(timestamp: str) -> str:
    """Show a time as it is here: month, day, time of day to the millisecond."""
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError):
        return timestamp


def _value(value: object) -> str:
    """Show a value so that its end is seen."""
    if isinstance(value, str) and value.isprintable() and value and not set(" ='\"") & set(value):
        return value
    return repr(value)


def _harmless(text: str) -> str:
    """Write control characters out."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)
