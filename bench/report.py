"""What a scenario found: a table and targets for people, the raw figures for programs."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import zmq

_PACKAGES = ("pyzmq", "trio", "jupyter_client", "jupyter_server", "ipykernel", "msgspec")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure that kmux is to reach. ``limit`` is a maximum, or else a minimum."""

    text: str
    measured: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.met else "MISSED"
        return f"{verdict:6}  {self.text}: {self.measured:.4g} (target {sign} {self.limit:.4g})"


@dataclass(kw_only=True)
class Result:
    """``raw`` goes into the JSON as it is: medians of each round, by side."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any]

    def __str__(self) -> str:
        lines = [self.title, "", *_table(self.columns, self.rows)]
        if self.targets or self.notes:
            lines.append("")
        lines += [f"  {target}" for target in self.targets]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        targets = [
            {
                "text": target.text,
                "measured": target.measured,
                "limit": target.limit,
                "at_most": target.at_most,
                "met": target.met,
            }
            for target in self.targets
        ]
        return {"title": self.title, "targets": targets, "notes": self.notes, "raw": self.raw}


def median_and_range(values: Sequence[float], digits: int = 0) -> str:
    """Show the median of several rounds, and between what they lay."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def machine_facts() -> dict[str, Any]:
    """What the figures depend on besides kmux."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table: the first column to the left, figures to the right."""
    widths = [max(len(row[i]) for row in (columns, *rows)) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return ("  " + "   ".join((first, *rest))).rstrip()

    return [line(columns), line(["─" * width for width in widths]), *map(line, rows)]
