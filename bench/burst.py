"""Throughput: how fast does a burst of output reach one frontend, and is all of it there?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from statistics import median

from bench.client import Arrival, Client, execute_content
from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.sides import DIRECT, JUPYTER, KMUX, ZMQ_PROXY, Side, Sides
from bench.web_servers import open_jupyter_server
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

SYNTHETIC_LIMIT = 0.5
"""Of zmq_proxy's rate."""
IPYKERNEL_LIMIT = 0.95
"""Of the direct rate."""
CLIENT_IS_BUSY = 0.85
"""From here on the client could hardly take more, and the rate is its own."""

Burst = Callable[[], Arrival]


def synthetic(workspace: Workspace, effort: Effort) -> Result:
    """Messages that were built and signed before, as fast as one Python process sends them."""
    count = effort.burst_messages
    cpu: dict[str, list[float]] = defaultdict(list)

    def burst(side: Side) -> Arrival:
        trigger = side.client.prepare_burst(count)
        before = side.proxy.cpu_seconds() if side.proxy else 0.0
        arrival = side.client.burst(trigger, count)
        if side.proxy:
            used = side.proxy.settled_cpu_seconds() - before
            cpu[side.name].append(used / count * 1e6)
        return arrival

    with Sides(workspace) as opener:
        sides = opener.open(SYNTHETIC, [DIRECT, ZMQ_PROXY, KMUX])
        bursts = {side.name: partial(burst, side) for side in sides}
        arrivals = interleaved(bursts, effort.burst_rounds)
    result = arrivals_result(
        f"burst-synthetic: {count:,} pre-built messages of 600 bytes",
        arrivals,
        Target(
            text="rate, kmux / zmq_proxy",
            measured=median_rate(arrivals, KMUX) / median_rate(arrivals, ZMQ_PROXY),
            limit=SYNTHETIC_LIMIT,
            at_most=False,
        ),
    )
    result.columns = (*result.columns, "proxy CPU, µs a message")
    result.rows = [
        (*row, median_and_range(cpu[row[0]], 1) if row[0] in cpu else "") for row in result.rows
    ]
    result.raw["proxy_cpu_us_per_message"] = cpu
    return result


def ipykernel(workspace: Workspace, effort: Effort) -> Result:
    """A loop in a real cell that displays something."""
    count = effort.cell_burst_messages
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        server = stack.enter_context(open_jupyter_server(workspace))
        websocket = stack.enter_context(server.open_kernel(IPYKERNEL))
        sides = opener.open(IPYKERNEL, [DIRECT, ZMQ_PROXY, KMUX])
        bursts: dict[str, Burst] = {
            side.name: partial(burst_of_cell, side.client, count) for side in sides
        }
        bursts[JUPYTER] = partial(websocket.burst, displays(count), count)
        arrivals = interleaved(bursts, effort.cell_burst_rounds)
    arrived = sum(a.received for a in arrivals[JUPYTER]) / len(arrivals[JUPYTER])
    result = arrivals_result(
        f"burst-ipykernel: {count:,} display_data from a loop in a cell",
        arrivals,
        Target(
            text="rate, kmux / direct",
            measured=median_rate(arrivals, KMUX) / median_rate(arrivals, DIRECT),
            limit=IPYKERNEL_LIMIT,
            at_most=False,
        ),
    )
    result.notes.append(
        f"jupyter_server's rate limit lets {arrived:,.0f} of {count:,} through; "
        "its rate counts those only"
    )
    return result


def displays(count: int) -> str:
    """Return the code of a cell that displays so many things, numbered."""
    return (
        "from IPython.display import display\n"
        f"for n in range({count}):\n"
        "    display({'text/plain': f'{n:08d}'}, raw=True)"
    )


def burst_of_cell(client: Client, count: int) -> Arrival:
    """Run such a cell."""
    request = client.author.message("execute_request", execute_content(displays(count)))
    return client.burst(request, count)


def interleaved(bursts: Mapping[str, Burst], rounds: int) -> dict[str, list[Arrival]]:
    """Have each of them in turn, so many times."""
    arrivals: dict[str, list[Arrival]] = defaultdict(list)
    for _ in range(rounds):
        for name, burst in bursts.items():
            arrivals[name].append(burst())
    return arrivals


def median_rate(arrivals: Mapping[str, list[Arrival]], name: str) -> float:
    return median(arrival.rate for arrival in arrivals[name])


def arrivals_result(
    title: str, arrivals: Mapping[str, list[Arrival]], target: Target, ours: str = KMUX
) -> Result:
    """Show what arrived, and that nothing of ours was lost."""
    rows = []
    notes = []
    for name, those in arrivals.items():
        load = median(arrival.client_load for arrival in those)
        rows.append(
            (
                name,
                median_and_range([arrival.rate for arrival in those]),
                f"{median_rate(arrivals, name) / median_rate(arrivals, DIRECT):.2f} ×",
                f"{min(arrival.received for arrival in those):,}",
                "yes" if all(arrival.in_order for arrival in those) else "NO",
                f"{load:.0%}",
            )
        )
        if load > CLIENT_IS_BUSY:
            notes.append(f"the client is the bottleneck of {name}: it computes {load:.0%}")
    lost = sum(arrival.expected - arrival.received for arrival in arrivals[ours])
    disordered = sum(not arrival.in_order for arrival in arrivals[ours])
    return Result(
        title=title,
        columns=(
            "side",
            "messages/s",
            "of direct",
            "arrived (fewest)",
            "in order",
            "client's own load",
        ),
        rows=rows,
        targets=[
            target,
            Target(text="messages lost by kmux", measured=lost, limit=0),
            Target(text="bursts out of order or doubled", measured=disordered, limit=0),
        ],
        notes=notes,
        raw={
            "rate": {name: [a.rate for a in those] for name, those in arrivals.items()},
            "received": {name: [a.received for a in those] for name, those in arrivals.items()},
            "client_load": {
                name: [a.client_load for a in those] for name, those in arrivals.items()
            },
        },
    )
