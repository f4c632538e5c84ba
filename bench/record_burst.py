"""A flood that is recorded: how fast, how far behind, and at what cost to those who watch it?"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.effort import Effort
from bench.errors import BenchError
from bench.growth import wait_until_settled, watched
from bench.report import Result, median_and_range
from bench.sides import KMUX, UNRECORDED, Side, Sides
from bench.workspace import IPYKERNEL, Workspace, record_directory
from proxy.record.loading import load
from proxy.record.state import Display, Stream

FLOODS = {
    "printed lines": "for n in range({count}):\n    print(f'{{n:08d}}', flush=True)",
    "displays": (
        "from IPython.display import display\n"
        "for n in range({count}):\n"
        "    display({{'text/plain': f'{{n:08d}}'}}, raw=True)"
    ),
    "widget updates": (
        "import ipywidgets\n"
        "slider = ipywidgets.IntSlider(max=10**9)\n"
        "for n in range({count}):\n"
        "    slider.value = n + 1"
    ),
}


@dataclass(frozen=True)
class Flood:
    """One of them. Times are in seconds after it was asked for."""

    heard: float
    """When its cell was idle for who watches."""
    written: float
    """When the record's files grew the last time."""
    cpu: float


def record_burst(workspace: Workspace, effort: Effort) -> Result:
    """One cell after the other makes so many messages; the record's files are watched."""
    count = effort.record_burst_messages
    floods: dict[tuple[str, str], list[Flood]] = defaultdict(list)
    for what, code in FLOODS.items():
        with Sides(workspace) as opener:
            sides = opener.open(IPYKERNEL, [UNRECORDED, KMUX])
            for side in sides:
                side.client.run("1")
            for _ in range(effort.record_burst_rounds):
                for side in sides:
                    flood = _flood(workspace, side, code.format(count=count))
                    floods[what, side.name].append(flood)
            _check(record_directory(workspace, sides[-1].session), what, count)
    return _result(floods, count)


def _flood(workspace: Workspace, side: Side, code: str) -> Flood:
    assert side.proxy is not None
    before = side.proxy.settled_cpu_seconds()
    with watched(record_directory(workspace, side.session)) as growth:
        begun = time.perf_counter()
        side.client.run(code)
        heard = time.perf_counter()
        if side.name == KMUX:
            wait_until_settled(growth)
    used = side.proxy.settled_cpu_seconds() - before
    return Flood(heard - begun, max(growth) - begun if growth else 0.0, used)


def _check(directory: Path, what: str, count: int) -> None:
    """Raise :class:`BenchError` where anything of the last flood is missing."""
    whole = load(directory)
    execution = list(whole.record.executions.values())[-1]
    items = execution.outputs.items
    if what == "widget updates":
        values = [
            c.fields["value"].value
            for c in whole.record.comms.values()
            if c.fields and "value" in c.fields
        ]
        complete = str(count).encode() in [bytes(value or b"") for value in values]
    elif what == "displays":
        texts = [item.data["text/plain"] for item in items if isinstance(item, Display)]
        complete = texts == [f"{n:08d}" for n in range(count)]
    else:
        chunks = [chunk for item in items if isinstance(item, Stream) for chunk in item.chunks]
        pieces = [c.encode() if isinstance(c, str) else whole.fetch(c) for c in chunks]
        complete = b"".join(pieces).split() == [b"%08d" % n for n in range(count)]
    if not complete:
        raise BenchError(f"of {count} {what} some are not in the record")


def _result(floods: dict[tuple[str, str], list[Flood]], count: int) -> Result:
    rows = []
    for what in FLOODS:
        bare, kept = floods[what, UNRECORDED], floods[what, KMUX]
        rows.append(
            (
                what,
                median_and_range([count / flood.heard for flood in bare]),
                median_and_range([count / flood.heard for flood in kept]),
                f"{median(f.heard for f in bare) / median(f.heard for f in kept):.2f} ×",
                median_and_range([count / max(f.written, f.heard) for f in kept]),
                median_and_range([(f.written - f.heard) * 1e3 for f in kept]),
                f"{median(f.cpu for f in bare) / count * 1e6:,.0f}",
                f"{median(f.cpu for f in kept) / count * 1e6:,.0f}",
            )
        )
    return Result(
        title=f"record-burst: {count:,} messages of one cell of ipykernel",
        columns=(
            "messages",
            "heard/s, not recorded",
            "heard/s, recorded",
            "of that",
            "recorded/s",
            "ms behind at the end",
            "kmux CPU, µs each, not recorded",
            "recorded",
        ),
        rows=rows,
        notes=[
            "behind: from the cell's idle at a frontend until the record's files grow no more; "
            "below zero: only what follows the last message is missing then",
            "all of it was in the record then, as it is read from the disk",
        ],
        raw={
            f"{what}, {name}": [(f.heard, f.written, f.cpu) for f in those]
            for (what, name), those in floods.items()
        },
    )
