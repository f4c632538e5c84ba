"""How a line of the log looks, and which are wanted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import click
import pytest

from proxy.cli.log_lines import is_wanted, render

ENTRY = {
    "client": ["zmq", "\x00\xff"],
    "why": "it does not read",
    "count": 3,
    "file": "kernel-a.json",
    "event": "client.cut_off",
    "session": "analysis",
    "level": "warning",
    "timestamp": "2026-11-29T14:21:34.123456Z",
}


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def encode(**entry: object) -> bytes:
    return json.dumps(entry).encode()


def plain(line: bytes) -> str:
    return click.unstyle(render(line))


def test_time_here_level_session_event_and_the_rest() -> None:
    assert plain(encode(**ENTRY)) == (
        "11-29 19:51:34.123 warning analysis client.cut_off client=['zmq', '\\x00ÿ'] "
        "why='it does not read' count=3 file=kernel-a.json"
    )


def test_levels_have_colours() -> None:
    assert click.style("warning", fg="yellow") in render(encode(**ENTRY))
    assert click.style("error  ", fg="red") in render(encode(level="error"))


def test_a_traceback_is_below() -> None:
    shown = plain(encode(**{**ENTRY, "exception": "Traceback:\n  in f\nValueError: no"}))
    assert shown.splitlines()[1:] == ["    Traceback:", "      in f", "    ValueError: no"]


def test_what_is_missing_is_left_out() -> None:
    assert plain(encode(event="kernel.ready", level="info")) == " info    kernel.ready"


@pytest.mark.parametrize(
    "line",
    [b"Fatal Python error: Aborted", b"[1, 2]", b'{"event": ', b'{"a": "\xff"}', b"[" * 10_000],
    ids=range(5),
)
def test_what_is_not_ours_passes(line: bytes) -> None:
    assert render(line) == line.decode("utf-8", "backslashreplace")
    assert is_wanted(line, None, "error")
    assert not is_wanted(line, "analysis", None)


def test_nothing_reaches_the_terminal_but_text() -> None:
    evil = "\x1b]0;owned\x07\x9b31m\r"
    controls = {c for c in evil if not c.isprintable()}
    everywhere = dict.fromkeys((*ENTRY, "exception", evil), evil)
    for line in (encode(**everywhere), evil.encode(), encode(line={evil: [evil]})):
        shown = plain(line)
        assert "owned" in shown
        assert not controls & set(shown)


@pytest.mark.parametrize(
    ("session", "level", "wanted"),
    [
        (None, None, True),
        ("analysis", None, True),
        ("other", None, False),
        (None, "info", True),
        (None, "warning", True),
        (None, "error", False),
        ("analysis", "error", False),
        ("other", "debug", False),
    ],
)
def test_which_are_wanted(session: str | None, level: str | None, wanted: bool) -> None:
    assert is_wanted(encode(**ENTRY), session, level) is wanted


def test_a_level_that_nobody_knows_is_severe() -> None:
    assert is_wanted(encode(**{**ENTRY, "level": "critical"}), None, "error")
