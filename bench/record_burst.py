"""A flood that is recorded: how fast, how far behind, and at what cost to those who watch it?"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from bench.effort import Effort
from bench.errors import BenchError
from bench.growth import wait_until_settled, watched
from bench.messages import CONTENT, HEADER
from bench.report import Result, median_and_range
from bench.sides import KMUX, UNRECORDED, Side, Sides
from bench.workspace import IPYKERNEL, Workspace, record_directory
from proxy.record.loading import WholeRecord, load
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
    return _result(floods, count)


def _flood(workspace: Workspace, side: Side, code: str) -> Flood:
    assert side.proxy is not None
    before = side.proxy.settled_cpu_seconds()
    directory = record_directory(workspace, side.session)
    with watched(directory) as growth:
        begun = time.perf_counter()
        cell = side.client.send_cell(code)
        came = side.client.all_of(cell)
        heard = time.perf_counter()
        side.client.finish(cell)
        if side.name == KMUX:
            wait_until_settled(growth, side.proxy)
            _compare(_texts_in(came), load(directory))
    used = side.proxy.settled_cpu_seconds() - before
    return Flood(heard - begun, max(growth) - begun if growth else 0.0, used)


def _texts_in(came: list[list[bytes]]) -> str:
    """Return what a frontend was told, one behind the other: printed, displayed, set."""
    texts = []
    for message in came:
        content = json.loads(message[1 + CONTENT])
        if b'"stream"' in message[1 + HEADER]:
            texts.append(content["text"])
        elif b'"display_data"' in message[1 + HEADER]:
            texts.append(content["data"]["text/plain"])
        elif b'"comm_msg"' in message[1 + HEADER]:
            texts = [str(content["data"]["state"]["value"])]
    return "".join(texts)


def _compare(told: str, whole: WholeRecord) -> None:
    """Raise :class:`BenchError` where the record has anything else than a frontend was told."""
    execution = list(whole.record.executions.values())[-1]
    recorded: list[str] = []
    for output in execution.outputs.items:
        if isinstance(output, Stream):
            recorded += [
                c if isinstance(c, str) else whole.fetch(c).decode() for c in output.chunks
            ]
        elif isinstance(output, Display):
            recorded.append(str(output.data["text/plain"]))
    if not recorded:
        states = [comm.fields or {} for comm in whole.record.comms.values()]
        sliders = [state["value"] for state in states if "value" in state]
        recorded = [bytes(sliders[-1].value or b"").decode()]
    if "".join(recorded) != told:
        raise BenchError("the record has something else than the frontend was told")


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
            "all that a frontend was told was in the record then, as it is read from the disk",
        ],
        raw={
            f"{what}, {name}": [(f.heard, f.written, f.cpu) for f in those]
            for (what, name), those in floods.items()
        },
    )
