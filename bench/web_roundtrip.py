"""A cell by WebSocket, as a browser runs it, through whoever serves Jupyter's API of kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from statistics import median

from bench.client import Execution
from bench.effort import Effort
from bench.report import Result, Target, median_and_range
from bench.roundtrip import CELL, JUPYTER_LIMIT
from bench.sides import DAEMON, DIRECT, JUPYTER, Sides
from bench.web_servers import (
    GATEWAY,
    open_jupyter_server,
    open_kernel_gateway,
    served_by,
)
from bench.workspace import IPYKERNEL, Workspace

AT_ONCE = ", acknowledged at once"
"""The same connection, while the client's system acknowledges whatever comes without delay."""


def web_roundtrip(workspace: Workspace, effort: Effort) -> Result:
    """A cell ``1+1``: from execute_request to its first output, and to idle."""
    first: dict[str, list[float]] = defaultdict(list)
    idle: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        servers = {
            DAEMON: served_by(opener.daemon, workspace),
            JUPYTER: stack.enter_context(open_jupyter_server(workspace)),
            GATEWAY: stack.enter_context(open_kernel_gateway(workspace)),
        }
        (direct,) = opener.open(IPYKERNEL, [DIRECT])
        clients: dict[str, Callable[[str], Execution]] = {DIRECT: direct.client.execute}
        for name, server in servers.items():
            client = stack.enter_context(server.open_kernel(IPYKERNEL))
            clients[name] = client.execute
            clients[f"{name}{AT_ONCE}"] = partial(client.execute, acknowledge_at_once=True)
        for execute in clients.values():
            for _ in range(5):  # warm up
                execute(CELL)
        for _ in range(effort.cell_rounds):
            for name, execute in clients.items():
                executions = [execute(CELL) for _ in range(effort.cells)]
                first[name].append(median(e.first_output for e in executions) * 1e3)
                idle[name].append(median(e.idle for e in executions) * 1e3)
    middle = {name: median(values) for name, values in first.items()}
    at_once = middle[DAEMON + AT_ONCE] / middle[JUPYTER + AT_ONCE]
    rows = [
        (
            name,
            median_and_range(first[name], 2),
            f"{middle[name] / middle[JUPYTER]:.2f} ×",
            median_and_range(idle[name], 2),
        )
        for name in first
    ]
    return Result(
        title=f"web-roundtrip: execute {CELL} by WebSocket, {effort.cells} cells one at a time",
        columns=("side", "ms to first output", "of jupyter_server's", "ms to idle"),
        rows=rows,
        targets=[
            Target(
                text=f"execute to first output, {DAEMON} / {JUPYTER}",
                measured=middle[DAEMON] / middle[JUPYTER],
                limit=JUPYTER_LIMIT,
            )
        ],
        notes=[
            f"{DIRECT}: by ZMQ, with nothing in between",
            "a browser's system acknowledges late, and a server that leaves Nagle's algorithm "
            f"on waits for that; where that is not so, {DAEMON} / {JUPYTER} is {at_once:.2f}",
        ],
        raw={"first_output_ms": first, "idle_ms": idle},
    )
