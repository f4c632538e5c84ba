"""What a session costs that nobody uses, and what a thousand messages cost."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from bench.client import Client
from bench.effort import Effort
from bench.processes import Process
from bench.report import Result, Target
from bench.sides import JUPYTER, KMUX, ZMQ_PROXY, Side, Sides
from bench.web_servers import open_jupyter_server
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace

CPU_LIMIT_PERCENT = 0.3
RESIDENT_LIMIT_MB = 60.0
HEARTBEAT_SECONDS = 1.0
"""As jupyter_client's HBChannel pings."""
SETTLE_SECONDS = 3.0
GIVEN_BACK_SECONDS = 12.0
"""kmux gives back what a flood left in its allocator every 10 s (proxy/memory.py)."""


def idle(workspace: Workspace, effort: Effort) -> Result:
    """An attached frontend that only sends heartbeats; then a burst and round trips."""
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        sides = opener.open(SYNTHETIC, [ZMQ_PROXY, KMUX])
        server = stack.enter_context(open_jupyter_server(workspace))
        stack.enter_context(server.open_kernel(IPYKERNEL))
        processes = {JUPYTER: server.process}
        for side in sides:
            assert side.proxy is not None
            processes[side.name] = side.proxy
        time.sleep(SETTLE_SECONDS)
        percent = _idle_percent(processes, [side.client for side in sides], effort.idle_seconds)
        resident = {name: _megabytes(process) for name, process in processes.items()}
        loaded = {
            side.name: _under_load(side, processes[side.name], effort.burst_messages, 2000)
            for side in sides
        }
    rows = []
    for name in (ZMQ_PROXY, KMUX, JUPYTER):
        load = loaded.get(name)
        rows.append(
            (
                name,
                f"{percent[name]:.3f}",
                f"{resident[name]:.1f}",
                f"{load['burst_ms']:.1f}" if load else "",
                f"{load['round_trip_ms']:.0f}" if load else "",
                f"{load['resident_at_once_mb']:.1f}" if load else "",
                f"{load['resident_mb']:.1f}" if load else "",
            )
        )
    return Result(
        title=f"idle: one frontend attached, {effort.idle_seconds:.0f} s, then load",
        columns=(
            "process",
            "idle CPU, % of a core",
            "RSS, MB",
            "CPU ms per 1,000 iopub",
            "per 1,000 round trips",
            "RSS after, MB",
            "12 s later",
        ),
        rows=rows,
        targets=[
            Target(text="kmux idle, % of a core", measured=percent[KMUX], limit=CPU_LIMIT_PERCENT),
            Target(text="kmux idle, RSS in MB", measured=resident[KMUX], limit=RESIDENT_LIMIT_MB),
        ],
        notes=["RSS is without the kernel; jupyter_server runs without extensions"],
        raw={"idle_percent": percent, "resident_mb": resident, "loaded": loaded},
    )


def _idle_percent(
    processes: dict[str, Process], clients: list[Client], seconds: float
) -> dict[str, float]:
    before = {name: process.cpu_seconds() for name, process in processes.items()}
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        for client in clients:
            client.ping()
        time.sleep(HEARTBEAT_SECONDS)
    passed = time.monotonic() - start
    return {
        name: (process.cpu_seconds() - before[name]) / passed * 100
        for name, process in processes.items()
    }


def _under_load(side: Side, process: Process, messages: int, round_trips: int) -> dict[str, Any]:
    """CPU milliseconds for 1,000 iopub messages and 1,000 round trips, and the memory after."""
    client = side.client
    trigger = client.prepare_burst(messages)
    before = process.settled_cpu_seconds()
    client.burst(trigger, messages)
    burst = process.settled_cpu_seconds() - before
    content = {"code": "import num", "cursor_pos": 10}
    requests = [client.author.request("complete_request", content) for _ in range(round_trips)]
    before = process.settled_cpu_seconds()
    client.round_trips(requests)
    round_trip = process.settled_cpu_seconds() - before
    at_once = _megabytes(process)
    time.sleep(GIVEN_BACK_SECONDS)
    return {
        "burst_ms": burst / messages * 1e6,
        "round_trip_ms": round_trip / round_trips * 1e6,
        "resident_at_once_mb": at_once,
        "resident_mb": _megabytes(process),
    }


def _megabytes(process: Process) -> float:
    return process.resident_bytes() / 1e6
