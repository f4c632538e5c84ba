"""A burst of output by WebSocket: how fast, and is all of it there?"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from functools import partial

from bench.burst import Burst, arrivals_result, burst_of_cell, displays, interleaved, median_rate
from bench.client import Arrival
from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.sides import DAEMON, DAEMON_UNRECORDED, DIRECT, JUPYTER, Sides
from bench.web_client import WebServer
from bench.web_servers import (
    GATEWAY,
    UNLIMITED,
    kernel_of,
    open_jupyter_server,
    open_kernel_gateway,
    served_by,
)
from bench.workspace import IPYKERNEL, Workspace

_NO_LIMIT = "{}, no rate limit"
PEERS = (JUPYTER, GATEWAY)


def web_burst(workspace: Workspace, effort: Effort) -> Result:
    """A loop in a cell that displays something. The others also without their rate limit."""
    count = effort.cell_burst_messages
    code = displays(count)
    cpu: dict[str, list[float]] = defaultdict(list)

    def burst(name: str, server: WebServer, kernel_id: str) -> Arrival:
        with server.connected(kernel_id) as client:
            before = server.process.cpu_seconds()
            arrival = client.burst(code, count)
            used = server.process.settled_cpu_seconds() - before
        cpu[name].append(used / count * 1e6)
        return arrival

    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        servers = {DAEMON: served_by(opener.daemon, workspace)}
        (unrecorded,) = opener.open(IPYKERNEL, [DAEMON_UNRECORDED])
        unrecorded.client.stop_listening()
        for name, opened in zip(PEERS, (open_jupyter_server, open_kernel_gateway), strict=True):
            servers[name] = stack.enter_context(opened(workspace))
            unlimited = stack.enter_context(opened(workspace, UNLIMITED))
            servers[_NO_LIMIT.format(name)] = unlimited
        (direct,) = opener.open(IPYKERNEL, [DIRECT])
        bursts: dict[str, Burst] = {DIRECT: partial(burst_of_cell, direct.client, count)}
        for name, server in servers.items():
            kernel_id = stack.enter_context(server.start_kernel(IPYKERNEL))
            bursts[name] = partial(burst, name, server, kernel_id)
        ours = servers[DAEMON]
        bursts[DAEMON_UNRECORDED] = partial(
            burst, DAEMON_UNRECORDED, ours, kernel_of(ours, unrecorded.session)
        )
        arrivals = interleaved(bursts, effort.cell_burst_rounds)
    others = [name for name in servers if name != DAEMON]
    fastest = max(others, key=lambda name: median_rate(arrivals, name))
    result = arrivals_result(
        f"web-burst: {count:,} display_data from a loop in a cell, by WebSocket",
        arrivals,
        Target(
            text=f"rate, {DAEMON} / the fastest of the others ({fastest})",
            measured=median_rate(arrivals, DAEMON) / median_rate(arrivals, fastest),
            limit=1.0,
            at_most=False,
        ),
        ours=DAEMON,
    )
    result.columns = (*result.columns, "server's CPU, µs a message")
    result.rows = [
        (*row, median_and_range(cpu[row[0]], 1) if row[0] in cpu else "") for row in result.rows
    ]
    result.raw["server_cpu_us_per_message"] = cpu
    result.notes += [
        f"{DIRECT}: by ZMQ, with nothing in between",
        f"{DAEMON}: with its record, as far as that is written while it goes on",
    ]
    for name in others:
        received = sum(arrival.received for arrival in arrivals[name])
        expected = sum(arrival.expected for arrival in arrivals[name])
        if received < expected:
            result.notes.append(
                f"{name} lost {1 - received / expected:.1%}; its rate counts what it delivered"
            )
    return result
