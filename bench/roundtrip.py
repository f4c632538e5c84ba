"""Latency: a synthetic kernel that answers at once, and a cell of ipykernel."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from statistics import median

from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.sides import DIRECT, JUPYTER, KMUX, ZMQ_PROXY, Side, Sides
from bench.web_servers import open_jupyter_server
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

ADDED_LIMIT = 1.5
"""Times what zmq_proxy adds; a naive trio hop is at 2.25 (PROTOCOL: "ZMQ on trio")."""
JUPYTER_LIMIT = 0.25
CELL = "1+1"


def synthetic(workspace: Workspace, effort: Effort) -> Result:
    """One complete_request at a time, 600 bytes each way: what does each way add?"""
    times: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    with Sides(workspace) as opener:
        sides = opener.open(SYNTHETIC, [DIRECT, ZMQ_PROXY, KMUX])
        for side in sides:
            _median_round_trip(side, effort.round_trips)  # warm up
        for _ in range(effort.rounds):
            for side in sides:
                before = side.proxy.cpu_seconds() if side.proxy else 0.0
                times[side.name].append(_median_round_trip(side, effort.round_trips) * 1e6)
                if side.proxy:
                    used = side.proxy.settled_cpu_seconds() - before
                    cpu[side.name].append(used / effort.round_trips * 1e6)
    middle = {name: median(values) for name, values in times.items()}
    added = {name: value - middle[DIRECT] for name, value in middle.items()}
    ratio = added[KMUX] / added[ZMQ_PROXY]
    by_round = median(
        (kmux - direct) / (proxy - direct)
        for direct, proxy, kmux in zip(times[DIRECT], times[ZMQ_PROXY], times[KMUX], strict=True)
    )
    rows = [
        (
            name,
            median_and_range(values),
            f"{added[name]:+.0f}" if name != DIRECT else "",
            f"{added[name] / added[ZMQ_PROXY]:.2f} ×" if name != DIRECT else "",
            median_and_range(cpu[name]) if name != DIRECT else "",
        )
        for name, values in times.items()
    ]
    return Result(
        title=f"roundtrip-synthetic: request to reply, {effort.round_trips:,} one at a time",
        columns=(
            "side",
            "µs: median (range of rounds)",
            "added",
            "of zmq_proxy's",
            "proxy CPU, µs each",
        ),
        rows=rows,
        targets=[
            Target(
                text="latency added over direct, kmux / zmq_proxy",
                measured=ratio,
                limit=ADDED_LIMIT,
            )
        ],
        notes=[f"the same ratio within each round: {by_round:.2f} (median of {effort.rounds})"],
        raw={"median_us": times, "proxy_cpu_us": cpu},
    )


def _median_round_trip(side: Side, count: int) -> float:
    author = side.client.author
    content = {"code": "import num", "cursor_pos": 10}
    requests = [author.request("complete_request", content) for _ in range(count)]
    return median(side.client.round_trips(requests))


def ipykernel(workspace: Workspace, effort: Effort) -> Result:
    """A cell ``1+1``: from execute_request to its first output, and to idle."""
    first: dict[str, list[float]] = defaultdict(list)
    idle: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        server = stack.enter_context(open_jupyter_server(workspace))
        websocket = stack.enter_context(server.open_kernel(IPYKERNEL))
        clients = {
            side.name: side.client.execute
            for side in opener.open(IPYKERNEL, [DIRECT, ZMQ_PROXY, KMUX])
        }
        clients[JUPYTER] = websocket.execute
        for execute in clients.values():
            for _ in range(5):  # warm up
                execute(CELL)
        for _ in range(effort.cell_rounds):
            for name, execute in clients.items():
                executions = [execute(CELL) for _ in range(effort.cells)]
                first[name].append(median(e.first_output for e in executions) * 1e3)
                idle[name].append(median(e.idle for e in executions) * 1e3)
        protocol = websocket.subprotocol
    middle = {name: median(values) for name, values in first.items()}
    rows = [
        (name, median_and_range(first[name], 2), median_and_range(idle[name], 2)) for name in first
    ]
    return Result(
        title=f"roundtrip-ipykernel: execute {CELL}, {effort.cells} cells one at a time",
        columns=("side", "ms to first output", "ms to idle"),
        rows=rows,
        targets=[
            Target(
                text="execute to first output, kmux / jupyter_server",
                measured=middle[KMUX] / middle[JUPYTER],
                limit=JUPYTER_LIMIT,
            )
        ],
        notes=[f"jupyter_server's WebSocket speaks {protocol}"],
        raw={"first_output_ms": first, "idle_ms": idle},
    )
