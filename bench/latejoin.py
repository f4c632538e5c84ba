"""Late joiners: how long until a new frontend has the states of all widgets?

While a cell runs, the kernel answers nobody; kmux answers from its ledger.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from bench.effort import Effort
from bench.errors import BenchError
from bench.frontend import Joined
from bench.report import Result, Target, median_and_range
from bench.sides import DIRECT, KMUX, Side, Sides
from bench.widgets import close, create
from bench.workspace import IPYKERNEL, Workspace

LIMIT_MS = 150.0
"""kmux, with the most models, idle and busy."""
GROWTH_LIMIT = 1.1
"""The exponent, tenfold models: 1 is linear, and 2 would be a loop in a loop."""
BUSY_SECONDS = 1.0
"""How long the cell sleeps that keeps the kernel busy."""
IDLE, BUSY = "idle", "busy"
_BUSY_CELL = f"import time\ntime.sleep({BUSY_SECONDS})"

Key = tuple[str, str, int]
"""The state of the kernel, the side, the number of models."""


def latejoin(workspace: Workspace, effort: Effort) -> Result:
    """Frontends that come one after the other, to more and more models."""
    joined: dict[Key, list[Joined]] = defaultdict(list)
    late = 0
    sizes = effort.latejoin_models
    with Sides(workspace) as opener:
        sides = opener.open(IPYKERNEL, [DIRECT, KMUX])
        for models in sizes:
            for side in sides:
                create(side.client, models)
                _join(opener, side, models)  # warm up
            for _ in range(effort.latejoin_rounds):
                for side in sides:
                    joined[IDLE, side.name, models].append(_join(opener, side, models))
            for _ in range(effort.latejoin_busy_rounds):
                for side in sides:
                    one, in_time = _join_busy(opener, side, models)
                    joined[BUSY, side.name, models].append(one)
                    late += side.name == KMUX and not in_time
            for side in sides:
                close(side.client, models)
    return _result(joined, sizes, late)


def _join(opener: Sides, side: Side, models: int) -> Joined:
    with opener.frontend(side) as frontend:
        joined = frontend.join()
    if joined.models != models:
        raise BenchError(f"{side.name} knows {joined.models} models, not {models}")
    return joined


def _join_busy(opener: Sides, side: Side, models: int) -> tuple[Joined, bool]:
    """Join while a cell runs. Returns whether it still ran when all was there, as well."""
    client = side.client
    cell = client.start_cell(_BUSY_CELL)
    joined = _join(opener, side, models)
    in_time = not client.has_reply()
    client.end_cell(cell)
    return joined, in_time


def _result(joined: dict[Key, list[Joined]], sizes: Sequence[int], late: int) -> Result:
    times = {key: [one.states * 1e3 for one in those] for key, those in joined.items()}
    middle = {key: median(values) for key, values in times.items()}
    rows = []
    for state in (IDLE, BUSY):
        for name in (DIRECT, KMUX):
            for models in sizes:
                key = (state, name, models)
                waits = state == BUSY and name == DIRECT
                ratio = middle[key] / middle[state, DIRECT, models]
                rows.append(
                    (
                        f"{name}, {'waits for the cell' if waits else state}",
                        f"{models:,}",
                        median_and_range(times[key], 1),
                        f"{ratio:.2f} ×" if state == IDLE else "",
                        "" if waits else f"{middle[key] / models * 1e3:,.0f}",
                        f"{median(one.kernel_info for one in joined[key]) * 1e3:,.1f}",
                        f"{median(one.comm_info for one in joined[key]) * 1e3:,.1f}",
                    )
                )
    few, many = sizes[-2:]
    # Of the fastest: what grows is what is done, not what else the machine had to do meanwhile.
    fastest = {key: min(values) for key, values in times.items()}
    growth = {
        (state, name): math.log(fastest[state, name, many] / fastest[state, name, few])
        / math.log(many / few)
        for state, name in ((IDLE, DIRECT), (IDLE, KMUX), (BUSY, KMUX))
    }
    return Result(
        title="latejoin: a new frontend asks for kernel_info, all widget states, comm_info",
        columns=(
            "side",
            "models",
            "ms to all states",
            "of direct",
            "µs a model",
            "ms to kernel_info",
            "to comm_info",
        ),
        rows=rows,
        targets=[
            *(
                Target(
                    text=f"kmux {state}, ms to the states of {many:,} models",
                    measured=middle[state, KMUX, many],
                    limit=LIMIT_MS,
                )
                for state in (IDLE, BUSY)
            ),
            *(
                Target(
                    text=f"kmux {state}, exponent of the growth from {few:,} to {many:,} models",
                    measured=growth[state, KMUX],
                    limit=GROWTH_LIMIT,
                )
                for state in (IDLE, BUSY)
            ),
            Target(text="frontends that kmux let wait for the cell", measured=late, limit=0),
        ],
        notes=[
            "a model is a third of an IntSlider: itself, its Layout, its SliderStyle",
            "from the first request's first byte; sockets are connected, iopub has been heard",
            f"busy: a cell sleeps for {BUSY_SECONDS:.0f} s; direct's figure is what is left of it, "
            "then the kernel's answer",
            f"exponents are of the fastest; direct's own, idle: {growth[IDLE, DIRECT]:.2f}",
        ],
        raw={
            "states_ms": {f"{state} {name} {n}": v for (state, name, n), v in times.items()},
        },
    )
