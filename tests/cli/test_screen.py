"""How outputs look: in a pipe as plain as can be, in a terminal with its colours and pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest

from proxy.cli.screen import Screen
from proxy.record.following import Cleared, Text
from proxy.record.state import Execution, Stream
from proxy.session import facts
from tests.cli.test_pictures import png
from tests.record import facts as f
from tests.record.recorded import Recorded

RED = "\x1b[31mred\x1b[0m"


class Out(io.StringIO):
    """A pipe, or a terminal."""

    encoding = "utf-8"

    def __init__(self, is_terminal: bool) -> None:
        super().__init__(newline="")
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class Seen:
    """A screen, and what is on it."""

    def __init__(self, *happened: facts.Fact, terminal: str | None = None) -> None:
        """``terminal`` is its TERM; None is a pipe."""
        self.recorded = Recorded(f.queued("a = 1\na", "a"), f.sent("a"), *happened)
        self.out = Out(terminal is not None)
        environment = {"TERM": terminal or "xterm-kitty"}
        self.screen = Screen(self.recorded.whole.fetch, self.out, environment)

    @property
    def execution(self) -> Execution:
        return next(iter(self.recorded.whole.record.executions.values()))

    def outputs(self) -> str:
        """Show what the cell shows; return all that was shown by now."""
        for output in self.execution.outputs.items:
            assert not isinstance(output, Stream)
            self.screen.show(output)
        return self.out.getvalue()


def shows(**data: Any) -> facts.Published:
    return f.shows({key.replace("_", "/"): value for key, value in data.items()}, "a")


PICTURE = base64.b64encode(png(640, 480)).decode()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"text_plain": "a\nb", "text_html": "<b>"}, "a\nb\n"),
        ({"text_html": "<b>" * 1000}, "[text/html, 3 KB]\n"),
        ({"text_latex": "$x$", "text_markdown": "*x*"}, "*x*\n"),
        ({"image_png": PICTURE, "text_plain": "<Figure>"}, "[image/png, 640x480, "),
        ({"image_png": PICTURE + "\n"}, "[image/png, 640x480, "),
        ({"image_png": "AAAA"}, "[image/png, 3 B]\n"),
        ({"image_png": 5}, "[image/png, 1 B]\n"),
        ({"image_png": "no base64!"}, "[image/png, 10 B]\n"),
        ({"image_svg+xml": "<svg/>", "text_plain": "<SVG object>"}, "[image/svg+xml, 6 B]\n"),
        ({"application_json": {"a": 1}}, "[application/json, 8 B]\n"),
        ({"text_plain": 5}, "5\n"),
        ({"text_plain": ["two ", "parts"]}, "two parts\n"),
        ({"video_mp4": "x" * 1_500_000}, "[video/mp4, 1.1 MB]\n"),
        ({}, ""),
    ],
)
def test_the_best_of_what_is_shown(data: dict[str, Any], line: str) -> None:
    assert Seen(shows(**data)).outputs().startswith(line)


def test_a_terminal_shows_pictures_if_it_can() -> None:
    picture = shows(image_png=PICTURE, text_plain="<Figure>")
    assert Seen(picture, terminal="xterm").outputs().startswith("[image/png, 640x480")
    assert Seen(picture, terminal="xterm-kitty").outputs().startswith("\x1b_Ga=T,f=100")
    both = shows(image_jpeg="AAAA", image_png=PICTURE)
    assert Seen(both, terminal="xterm-kitty").outputs().startswith("\x1b_Ga=T,f=100")
    assert Seen(picture).outputs().startswith("[image/png"), "never into a pipe"


def test_tracebacks_have_colours_in_a_terminal_only() -> None:
    error = f.says("error", "a", ename="E", evalue="v", traceback=[RED, "end"])
    bare = f.says("error", "a", ename="E", evalue="v", traceback=[])
    assert Seen(error, bare, terminal="xterm").outputs() == f"{RED}\nend\nE: v\n"
    assert Seen(error, bare).outputs() == "red\nend\nE: v\n"


def test_what_a_cell_prints_is_left_as_it_is() -> None:
    seen = Seen()
    for text in (f"{RED}\t \r", "\b☃", "end"):
        seen.screen.show(Text(text))
    assert seen.out.getvalue() == f"{RED}\t \r\b☃end"


def test_what_a_terminal_cannot_write_is_replaced() -> None:
    seen = Seen()
    seen.out.encoding = "latin-1"
    seen.screen.show(Text("é ☃\n"))
    assert seen.out.getvalue() == "é ?\n"


def test_everything_begins_a_line() -> None:
    seen = Seen(shows(text_plain="shown"))
    for text in ("no end", "no end", "line\n"):
        seen.screen.show(Text(text))
        seen.screen.show(Cleared())
    seen.screen.show(Text("no end"))
    seen.outputs()
    seen.screen.show(Text("no end"))
    seen.screen.remark("a remark")
    seen.screen.show(Text("no end"))
    seen.screen.heading(seen.execution)
    assert seen.out.getvalue().splitlines() == [
        *("no end", "no end", "line", "no end", "shown", "no end", "[a remark]", "no end"),
        *("In [ ]: a = 1", "   ...: a"),
    ]


def test_code_stands_above_what_it_shows() -> None:
    begins = f.says("execute_input", "a", code="", execution_count=12)
    seen = Seen(begins, terminal="xterm")
    seen.screen.heading(seen.execution)
    assert seen.out.getvalue() == "\x1b[2mIn [12]: a = 1\n    ...: a\x1b[0m\n"
