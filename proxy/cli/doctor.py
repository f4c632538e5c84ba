"""``kmux doctor``: what goes wrong in practice, and what to do about it."""

from __future__ import annotations

import os
import sys
from collections import Counter

import click
import msgspec

from proxy.doctor.examination import CHECKS, Entry, examine
from proxy.doctor.findings import some

MARKS = {"ok": "✓", "warning": "!", "error": "✗"}
ASCII_MARKS = {"ok": "+", "warning": "!", "error": "x"}
COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
WIDTH = max(map(len, CHECKS)) + 2


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Do what is safe to do, and say what that was.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(fix: bool, as_json: bool) -> None:
    """Look for what goes wrong in practice, and say what to do about it.

    Exits with 1 where something does not work. Without --fix nothing is changed.

    \b
    Example:
      kmux doctor
      kmux doctor --fix
      kmux doctor --json | jq -r '.[] | select(.level == "error").what'
    """
    entries = []
    for entry in examine(fixes=fix):
        entries.append(entry)
        if not as_json:
            _show(entry)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(entries), indent=2))  # UTF-8
    else:
        click.echo(summary(entries))
    sys.exit(1 if any(entry.is_bad for entry in entries) else 0)


def _show(entry: Entry) -> None:
    encoding = sys.stdout.encoding or "ascii"
    level = entry.level if entry.fixed is None else "ok"
    marks = MARKS if encoding.lower().replace("-", "") == "utf8" else ASCII_MARKS
    lines = [f"{click.style(marks[level], fg=COLOURS[level])} {entry.check:{WIDTH}}{entry.what}"]
    below = entry.advice if entry.fixed is None else f"done: {entry.fixed}"
    if below:
        lines.append(f"  {'':{WIDTH}}{below}")
    text = "\n".join(lines).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def summary(entries: list[Entry]) -> str:
    """Say how many of which kind there are."""
    left = Counter(entry.level for entry in entries if entry.fixed is None)
    told = [some(left[level], level) for level in ("error", "warning") if left[level]]
    if fixed := sum(entry.fixed is not None for entry in entries):
        told.append(f"{fixed} mended")
    return ", ".join(told) or "all is well"
