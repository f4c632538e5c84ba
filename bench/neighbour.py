"""What a session that floods costs another one: in one daemon, and in two processes."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles

from bench import messages
from bench.client import execute_content
from bench.effort import Effort
from bench.messages import COMPLETE, HEADER
from bench.report import Result, Target, median_and_range
from bench.sides import DAEMON, KMUX, Side, Sides
from bench.subscribers import Subscribers, open_subscribers
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

LIMIT = 3.0
"""Times the quiet latency."""
PRINTED, DISPLAYED, BURST = "printed lines", "displays", "synthetic burst"
REQUEST, CELL = "request", "1+1"
_BEGUN_SECONDS = 0.1
_FLOODS = {
    PRINTED: "print('x' * 60, flush=True)",
    DISPLAYED: "display({'text/plain': 'x' * 60}, raw=True)",
}
_LOOP = """
import time
from IPython.display import display
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    {statement}
"""

Measure = Callable[[Side], float]


@dataclass(frozen=True)
class _Latency:
    """Of one round, in milliseconds."""

    quiet: float
    flooded: float
    late: float
    """The 95th percentile while the other one floods."""


class _House:
    """Two that flood and two that are measured, behind one process or one process each."""

    def __init__(self, opener: Sides, subscribers: Subscribers, name: str, effort: Effort) -> None:
        self._subscribers = subscribers
        self._effort = effort
        self._cells, self._burst, self._request, self._cell = (
            opener.open(kernel, [name if name == DAEMON else "kmux --no-record"])[0]
            for kernel in (IPYKERNEL, SYNTHETIC, SYNTHETIC, IPYKERNEL)
        )
        self._measures: dict[str, tuple[Side, Measure]] = {
            REQUEST: (self._request, _request),
            CELL: (self._cell, _cell),
        }
        for side in (self._cells, self._burst):
            side.client.stop_listening()
        for side, measure in self._measures.values():
            for _ in range(10):  # warm up
                measure(side)

    def latency(self, neighbour: str, flood: str) -> _Latency:
        """Measure one, quiet and while the other floods."""
        side, measure = self._measures[neighbour]
        end = time.monotonic() + self._effort.neighbour_seconds / 2
        quiet = []
        while time.monotonic() < end:
            quiet.append(measure(side))
        self._begin(flood)
        flooded = []
        while not self._subscribers.is_over():
            flooded.append(measure(side))
        self._subscribers.heard(0)
        late = quantiles(flooded, n=20)[-1]
        return _Latency(median(quiet) * 1e3, median(flooded) * 1e3, late * 1e3)

    def _begin(self, flood: str) -> None:
        if flood == BURST:
            side = self._burst
            trigger = side.client.prepare_burst(self._effort.burst_messages)
        else:
            side = self._cells
            code = _LOOP.format(seconds=self._effort.neighbour_seconds, statement=_FLOODS[flood])
            trigger = side.client.author.message("execute_request", execute_content(code))
        self._subscribers.connect(side.iopub_url, 1, messages.id_of(trigger[HEADER]))
        self._subscribers.wait_until_ready(lambda: side.client.ask("kernel_info_request", {}))
        side.client.send(trigger)
        time.sleep(_BEGUN_SECONDS)


def _request(side: Side) -> float:
    author = side.client.author
    return side.client.round_trips([author.request("complete_request", COMPLETE)])[0]


def _cell(side: Side) -> float:
    return side.client.execute("1+1").first_output


def neighbour(workspace: Workspace, effort: Effort) -> Result:
    """Four sessions of one daemon, which has others, and four ``kmux run``."""
    latencies: dict[tuple[str, str, str], list[_Latency]] = defaultdict(list)
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        subscribers = stack.enter_context(open_subscribers(workspace))
        houses = {name: _House(opener, subscribers, name, effort) for name in (DAEMON, KMUX)}
        others = effort.daemon_sessions[-1] - 4
        for number in range(others):
            opener.daemon.new(SYNTHETIC, f"other-{number}")
        ways = list(itertools.product((REQUEST, CELL), (PRINTED, DISPLAYED, BURST)))
        for _ in range(effort.neighbour_rounds):
            for measured, flood in ways:
                for name, house in houses.items():
                    latencies[measured, flood, name].append(house.latency(measured, flood))
    ratios = {
        key: median(each.flooded / each.quiet for each in those) for key, those in latencies.items()
    }
    rows = [
        (
            f"{measured}, {flood}, {name}",
            median_and_range([each.quiet for each in those], 2),
            median_and_range([each.flooded for each in those], 2),
            f"{ratios[measured, flood, name]:.2f} ×",
            f"{median(each.late for each in those):.2f}",
        )
        for (measured, flood, name), those in latencies.items()
    ]
    return Result(
        title=f"neighbour: one of {others + 4} sessions while another one floods",
        columns=(
            "measured, flood, where",
            "ms quiet: median (range of rounds)",
            "ms flooded",
            "of quiet",
            "p95",
        ),
        rows=rows,
        targets=[
            Target(
                text=f"{measured} beside {flood}, in one daemon, flooded / quiet",
                measured=ratios[measured, flood, DAEMON],
                limit=LIMIT,
            )
            for measured, flood in ways
        ],
        notes=[
            f"{KMUX}: both have a process of their own, as worker processes of a daemon would be",
            "a request goes to a synthetic kernel and back; 1+1 is to the first output",
        ],
        raw={
            ", ".join(key): [(each.quiet, each.flooded, each.late) for each in those]
            for key, those in latencies.items()
        },
    )
