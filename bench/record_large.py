"""A comm with something large in it: does anybody else notice while it is recorded?"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean, median, quantiles

from bench.effort import Effort
from bench.errors import BenchError
from bench.frontend import Frontend
from bench.growth import watched
from bench.report import Result, Target
from bench.sides import KMUX, UNRECORDED, Side, Sides
from bench.workspace import IPYKERNEL, Workspace, record_directory

LIMIT = 2.0
"""Times the round trip while nothing happens."""
QUIET_SECONDS = 0.3
WRITTEN_SECONDS = 1.5
"""By then it is on the disk: the recorder's interval is at most a second."""
KINDS = {
    "1 MB of JSON": "data={{'text': chr(97 + {number} % 26) * 1_000_000}}",
    "50 MB of buffers": "buffers=[bytes([{number} % 256]) * 50_000_000]",
}
"""Something new each time: what is stored already is not stored again."""
_CELL = "from ipykernel.comm import Comm\ncomm = Comm(target_name='large', {})"

Asked = tuple[float, float]
"""When a question was asked, and how many seconds the answer took."""


@dataclass
class _Found:
    """Of one kind of comm on one side: round trips, comm by comm. All in seconds."""

    quiet: list[list[float]] = field(default_factory=list)
    busy: list[list[float]] = field(default_factory=list)
    windows: list[float] = field(default_factory=list)
    """How long it took, from the cell that opens it to the last byte of it on the disk."""

    @property
    def ratio(self) -> float:
        """Of medians, each to that of the moment before."""
        pairs = zip(self.busy, self.quiet, strict=True)
        return median(median(busy) / median(quiet) for busy, quiet in pairs)

    @property
    def ratio_of_means(self) -> float:
        """The same of means: who is kept waiting once for long has one round trip only."""
        pairs = zip(self.busy, self.quiet, strict=True)
        return median(fmean(busy) / fmean(quiet) for busy, quiet in pairs)


def record_large(workspace: Workspace, effort: Effort) -> Result:
    """One frontend has comms opened, another one asks kernel_info, which kmux itself answers."""
    found: dict[tuple[str, str], _Found] = defaultdict(_Found)
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        sides = opener.open(IPYKERNEL, [KMUX, UNRECORDED])
        others = [stack.enter_context(opener.frontend(side)) for side in sides]
        for other in others:
            other.stop_listening()  # what it hears itself is not what is measured
        for number in range(effort.record_large_rounds):
            for kind, arguments in KINDS.items():
                code = _CELL.format(arguments.format(number=number))
                seconds = 0.0
                for side, other in zip(sides, others, strict=True):
                    directory = record_directory(workspace, side.session)
                    one = found[kind, side.name]
                    begun = time.perf_counter()
                    one.quiet.append([took for _, took in _asked(other, begun + QUIET_SECONDS)])
                    # As long without the record as it took with it, the moment before.
                    busy, seconds = _while_recorded(side, other, directory, code, seconds)
                    one.busy.append(busy)
                    one.windows.append(seconds)
    return _result(found)


def _while_recorded(
    side: Side, other: Frontend, directory: Path, code: str, seconds: float
) -> tuple[list[float], float]:
    """Return the round trips in the meantime, and how long that was."""
    with watched(directory) as growth:
        begun = time.perf_counter()
        cell = side.client.send_cell(code)
        asked = _asked(other, begun + WRITTEN_SECONDS)
        side.client.end_cell(cell)
    if side.name == KMUX:
        if not growth:
            raise BenchError("a comm was opened, and nothing was recorded")
        seconds = growth[-1] - begun
    return [took for when, took in asked if when < begun + seconds], seconds


def _asked(other: Frontend, until: float) -> list[Asked]:
    asked = []
    while (begun := time.perf_counter()) < until:
        other.ask("kernel_info_request", {})
        asked.append((begun, time.perf_counter() - begun))
    return asked


def _result(found: dict[tuple[str, str], _Found]) -> Result:
    rows = []
    for kind in KINDS:
        for name in (UNRECORDED, KMUX):
            one = found[kind, name]
            quiet, busy = [*chain(*one.quiet)], [*chain(*one.busy)]
            rows.append(
                (
                    f"{kind}, {name}",
                    f"{median(one.windows) * 1e3:,.0f}",
                    f"{median(quiet) * 1e6:,.0f}",
                    f"{median(busy) * 1e6:,.0f}",
                    f"{one.ratio:.2f} ×",
                    f"{one.ratio_of_means:.2f} ×",
                    f"{quantiles(quiet, n=100)[98] * 1e3:,.1f}",
                    f"{quantiles(busy, n=100)[98] * 1e3:,.1f}",
                    f"{len(busy):,}",
                )
            )
    return Result(
        title="record-large: kernel_info of another frontend, while a large comm is recorded",
        columns=(
            "what",
            "ms until it is on the disk",
            "µs while nothing happens",
            "µs in the meantime",
            "of that",
            "of means",
            "p99, ms, while nothing happens",
            "p99 in the meantime",
            "round trips",
        ),
        rows=rows,
        targets=[
            Target(
                text=f"{kind}: round trip in the meantime / while nothing happens, median",
                measured=found[kind, KMUX].ratio,
                limit=LIMIT,
            )
            for kind in KINDS
        ],
        notes=[
            "medians; without the record the time is that which it took with it, just before",
            "in the meantime the kernel makes it, sends it, and a frontend takes it, on the same "
            "cores",
        ],
        raw={
            f"{kind}, {name}": {"quiet": one.quiet, "busy": one.busy, "windows": one.windows}
            for (kind, name), one in found.items()
        },
    )
