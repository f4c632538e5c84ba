"""What the record costs on the way of a message: kmux with it, and without."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median, quantiles

from bench.effort import Effort
from bench.report import Result, Target
from bench.sides import KMUX, UNRECORDED, Side, Sides
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

LIMIT = 1.05
_CELL = "1+1"
_CELLS, _REQUESTS = 4, 50
"""Of one side, before it is the other one's turn. So short that what else the machine does hits
both; what the recorder does behind the cells of one turn is in the way of the next ones."""

REQUEST, OUTPUT, IDLE = "request to reply", "cell to its output", "cell to idle"

Times = dict[str, list[float]]
"""Seconds, by what they were for."""


def record_path(workspace: Workspace, effort: Effort) -> Result:
    """Requests to a synthetic kernel, of which nothing is recorded, and cells of ipykernel."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], float] = {}

    def requests(side: Side) -> Times:
        author, content = side.client.author, {"code": "import num", "cursor_pos": 10}
        wanted = [author.request("complete_request", content) for _ in range(_REQUESTS)]
        return {REQUEST: side.client.round_trips(wanted)}

    def cells(side: Side) -> Times:
        executions = [side.client.execute(_CELL) for _ in range(_CELLS)]
        return {
            OUTPUT: [execution.first_output for execution in executions],
            IDLE: [execution.idle for execution in executions],
        }

    kinds: list[tuple[str, Callable[[Side], Times], int]] = [
        (SYNTHETIC, requests, effort.record_request_turns),
        (IPYKERNEL, cells, effort.record_cell_turns),
    ]
    for kernel, measure, turns in kinds:
        with Sides(workspace) as opener:
            sides = opener.open(kernel, [UNRECORDED, KMUX])
            for side in sides:
                measure(side)  # warm up
            before = [_settled(side) for side in sides]
            for turn in range(turns):
                # Who is second finds the processor as the first one left it.
                for side in sides if turn % 2 else sides[::-1]:
                    for what, seconds in measure(side).items():
                        times[what, side.name] += seconds
            for side, begun in zip(sides, before, strict=True):
                used = _settled(side) - begun
                for (what, name), values in times.items():
                    if name == side.name:
                        cpu.setdefault((what, name), used / len(values))
    return _result(times, cpu)


def _settled(side: Side) -> float:
    assert side.proxy is not None
    return side.proxy.settled_cpu_seconds()


def _result(times: dict[tuple[str, str], list[float]], cpu: dict[tuple[str, str], float]) -> Result:
    rows = []
    targets = []
    for what in (REQUEST, OUTPUT, IDLE):
        ratio = median(times[what, KMUX]) / median(times[what, UNRECORDED])
        doubt = ratio * math.hypot(*(_doubt(times[what, name]) for name in (KMUX, UNRECORDED)))
        for name in (UNRECORDED, KMUX):
            values = times[what, name]
            low, _, high = quantiles(values, n=4)
            rows.append(
                (
                    f"{what}, {name}",
                    f"{median(values) * 1e6:,.0f} ({low * 1e6:,.0f}–{high * 1e6:,.0f})",
                    f"{ratio:.3f} ± {doubt:.3f} ×" if name == KMUX else "",
                    f"{quantiles(values, n=100)[98] * 1e3:,.1f}",
                    f"{cpu[what, name] * 1e6:,.0f}",
                    f"{len(values):,}",
                )
            )
        targets.append(
            Target(text=f"{what}, with the record / without", measured=ratio, limit=LIMIT)
        )
    return Result(
        title="record-path: what the record costs on the way of a message",
        columns=(
            "way",
            "µs: median (middle half)",
            "of not recorded",
            "p99, ms",
            "kmux CPU, µs each",
            "of them",
        ),
        rows=rows,
        targets=targets,
        notes=[
            "±: the standard error of that ratio",
            "requests go to a synthetic kernel, and nothing of them is recorded; a cell of "
            "ipykernel is five facts",
            "CPU is until kmux has settled: with what the recorder does behind the messages",
        ],
        raw={
            "seconds": {f"{what}, {name}": values for (what, name), values in times.items()},
            "cpu_seconds": {f"{what}, {name}": value for (what, name), value in cpu.items()},
        },
    )


def _doubt(values: Sequence[float]) -> float:
    """Return the standard error of a median as a share of it, as its middle half tells it."""
    low, middle, high = quantiles(values, n=4)
    return 1.25 * (high - low) / 1.35 / math.sqrt(len(values)) / middle
