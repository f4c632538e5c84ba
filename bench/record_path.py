"""What the record costs on the way of a message: kmux with it, and without."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median, quantiles

from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.roundtrip import median_round_trip
from bench.sides import KMUX, UNRECORDED, Side, Sides
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

LIMIT = 1.05
_CELL = "1+1"
_CELLS = 12
"""In a round: the recorder writes the first ones down while the last ones run."""

REQUEST, OUTPUT, IDLE = "request to reply", "cell to its output", "cell to idle"

Measure = Callable[[Side], dict[str, float]]


def record_path(workspace: Workspace, effort: Effort) -> Result:
    """Requests to a synthetic kernel, of which nothing is recorded, and cells of ipykernel."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[str, str], list[float]] = defaultdict(list)

    def requests(side: Side) -> dict[str, float]:
        return {REQUEST: median_round_trip(side, effort.round_trips)}

    def cells(side: Side) -> dict[str, float]:
        executions = [side.client.execute(_CELL) for _ in range(_CELLS)]
        return {
            OUTPUT: median(e.first_output for e in executions),
            IDLE: median(e.idle for e in executions),
        }

    kinds: list[tuple[str, Measure, int, int]] = [
        (SYNTHETIC, requests, effort.round_trips, effort.record_rounds),
        (IPYKERNEL, cells, _CELLS, effort.record_cell_rounds),
    ]
    for kernel, measure, count, rounds in kinds:
        with Sides(workspace) as opener:
            sides = opener.open(kernel, [UNRECORDED, KMUX])
            for side in sides:
                measure(side)  # warm up
            for number in range(rounds):
                # Who is second finds the processor as the first one left it.
                for side in sides if number % 2 else sides[::-1]:
                    assert side.proxy is not None
                    before = side.proxy.settled_cpu_seconds()
                    measured = measure(side)
                    used = side.proxy.settled_cpu_seconds() - before
                    for what, seconds in measured.items():
                        times[what, side.name].append(seconds * 1e6)
                        cpu[what, side.name].append(used / count * 1e6)
    return _result(times, cpu)


def _result(
    times: dict[tuple[str, str], list[float]], cpu: dict[tuple[str, str], list[float]]
) -> Result:
    middle = {key: median(values) for key, values in times.items()}
    rows = []
    targets = []
    for what in (REQUEST, OUTPUT, IDLE):
        pairs = zip(times[what, KMUX], times[what, UNRECORDED], strict=True)
        ratios = [kmux / bare for kmux, bare in pairs]
        ratio = median(ratios)
        rows += [
            (
                f"{what}, {name}",
                median_and_range(times[what, name]),
                f"{middle[what, name] / middle[what, UNRECORDED]:.3f} ×",
                f"{ratio:.3f} ± {_uncertainty(ratios):.3f} ×" if name == KMUX else "",
                median_and_range(cpu[what, name]),
            )
            for name in (UNRECORDED, KMUX)
        ]
        targets.append(
            Target(text=f"{what}, with the record / without", measured=ratio, limit=LIMIT)
        )
    return Result(
        title="record-path: what the record costs on the way of a message",
        columns=(
            "way",
            "µs: median (range of rounds)",
            "of medians",
            "median of each round's",
            "kmux CPU, µs each",
        ),
        rows=rows,
        targets=targets,
        notes=[
            "±: the standard error of the median of the rounds' ratios; other load on the machine "
            "makes it large",
            "requests go to a synthetic kernel, and nothing of them is recorded; a cell of "
            "ipykernel is five facts",
            "CPU is until kmux has settled: with what the recorder does behind the messages",
        ],
        raw={
            "us": {f"{what}, {name}": values for (what, name), values in times.items()},
            "cpu_us": {f"{what}, {name}": values for (what, name), values in cpu.items()},
        },
    )


def _uncertainty(values: Sequence[float]) -> float:
    """Return the standard error of a median, as the middle half of the values tells it."""
    low, _, high = quantiles(values, n=4)
    return 1.25 * (high - low) / 1.35 / math.sqrt(len(values))
