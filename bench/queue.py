"""The execution queue: what it costs that kmux lets one cell into the kernel at a time."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.sides import DIRECT, KMUX, UNRECORDED, ZMQ_PROXY, Sides
from bench.workspace import IPYKERNEL, Workspace

LIMIT = 1.15
_CELL = "1"


def queue(workspace: Workspace, effort: Effort) -> Result:
    """Trivial cells of one frontend, sent at once: how long until the last one is idle?"""
    times: dict[str, list[float]] = defaultdict(list)
    with Sides(workspace) as opener:
        sides = opener.open(IPYKERNEL, [DIRECT, ZMQ_PROXY, UNRECORDED, KMUX])
        for side in sides:
            side.client.cells_at_once(_CELL, effort.queue_cells)  # warm up
        for _ in range(effort.queue_rounds):
            for side in sides:
                times[side.name].append(side.client.cells_at_once(_CELL, effort.queue_cells) * 1e3)
    middle = {name: median(values) for name, values in times.items()}
    rows = [
        (name, median_and_range(values), f"{middle[name] / middle[DIRECT]:.2f} ×")
        for name, values in times.items()
    ]
    by_round, of_it = (
        median(k / d for d, k in zip(times[other], times[KMUX], strict=True))
        for other in (DIRECT, UNRECORDED)
    )
    return Result(
        title=f"queue: {effort.queue_cells} cells of ipykernel sent at once",
        columns=("side", "ms to the last idle", "of direct"),
        rows=rows,
        targets=[
            Target(
                text="cells sent at once, kmux / direct",
                measured=middle[KMUX] / middle[DIRECT],
                limit=LIMIT,
            )
        ],
        notes=[
            f"the same ratio within each round: {by_round:.2f}; of {UNRECORDED}: {of_it:.2f}",
        ],
        raw={"ms": times},
    )
