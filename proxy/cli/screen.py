"""How cells and what they show look in a terminal, or in a pipe."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TextIO

from proxy.cli import pictures
from proxy.record.following import Cleared, News, Text
from proxy.record.notebook import Fetch, plain
from proxy.record.state import Display, Error, Execution
from proxy.record.values import Large, Value

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_TEXTS = ("text/plain", "text/markdown", "text/latex")
"""What can be read as it is, the best first."""


class Screen:
    """Where it is shown. A terminal has colours, and perhaps pictures."""

    def __init__(self, fetch: Fetch, out: TextIO, environment: Mapping[str, str]) -> None:
        self._fetch = fetch
        self._out = out
        self._is_terminal = out.isatty()
        self._pictures = pictures.protocol(environment) if self._is_terminal else {}
        self._at_line_start = True

    def heading(self, execution: Execution) -> None:
        """Show a cell's code."""
        count = " " if execution.execution_count is None else execution.execution_count
        prompt = f"In [{count}]: "
        code = str(plain(execution.code, self._fetch)).rstrip("\n")
        self._end_line()
        self._write(self._dim(prompt + code.replace("\n", "\n" + "...: ".rjust(len(prompt)))))
        self._write("\n")

    def remark(self, line: str) -> None:
        """Say something that no cell says."""
        self._end_line()
        self._write(self._dim(f"[{line}]") + "\n")

    def show(self, news: News) -> None:
        """Show what a cell shows."""
        match news:
            case Text():
                self._write(news.text)
                return
            case Cleared():
                self._end_line()
                return
            case Error():
                shown = self._traceback(news)
            case Display():
                shown = self._display(news)
        self._end_line()
        self._write(shown)
        self._end_line()

    def flush(self) -> None:
        """Have all of it on the screen."""
        self._out.flush()

    def _write(self, text: str) -> None:
        if text:
            encoding = self._out.encoding or "utf-8"
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._at_line_start = text.endswith("\n")

    def _end_line(self) -> None:
        if not self._at_line_start:
            self._write("\n")

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._is_terminal else text

    def _traceback(self, error: Error) -> str:
        lines = plain(error.traceback, self._fetch) or []
        text = "\n".join(lines) or f"{error.ename}: {plain(error.evalue, self._fetch)}"
        return text if self._is_terminal else _ANSI.sub("", text)

    def _display(self, display: Display) -> str:
        """Show the best of a mime bundle: a picture, a text, or what there would be."""
        data = display.data
        pictured = [media_type for media_type in data if media_type.startswith("image/")]
        for media_type in sorted(pictured, key=lambda each: each not in self._pictures):
            value = data[media_type]
            if (draw := self._pictures.get(media_type)) and (raw := self._raw(value)):
                return draw(raw)
            return self._described(media_type, value)
        for media_type in _TEXTS:
            if media_type in data:
                text = plain(data[media_type], self._fetch)
                return "".join(text) if isinstance(text, list) else str(text)
        return "\n".join(self._described(*each) for each in data.items())

    def _described(self, media_type: str, value: Value) -> str:
        raw = self._raw(value)
        size = len(raw) if raw else _size(value)
        known = pictures.dimensions(raw) if raw else None
        wide = f", {known[0]}x{known[1]}" if known else ""
        return f"[{media_type}{wide}, {_sized(size)}]"

    def _raw(self, value: Value) -> bytes:
        """Return the bytes of what is binary; none where it is not."""
        if isinstance(value, Large):
            return self._fetch(value) if value.encoding.startswith("base64") else b""
        try:
            return base64.b64decode(value, validate=True) if isinstance(value, str) else b""
        except (binascii.Error, ValueError):
            return b""


def _size(value: Value) -> int:
    if isinstance(value, Large):
        return value.size
    return len(value if isinstance(value, str) else value.text)


def _sized(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} KB" if size < 1e6 else f"{size / 1e6:.1f} MB"
