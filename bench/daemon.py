"""What a daemon with many sessions costs while nobody does anything."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median

from bench.effort import Effort
from bench.frontend import Frontend
from bench.processes import Process
from bench.report import Result, Target
from bench.sides import DAEMON, KMUX, Side, Sides
from bench.workspace import SYNTHETIC, Workspace

CPU_LIMIT_PERCENT = 1.0
PING_SECONDS = 1.0
"""As jupyter_client's HBChannel does, in consoles; JupyterLab's server never pings."""
SETTLE_SECONDS = 5.0


def daemon(workspace: Workspace, effort: Effort) -> Result:
    """Begin one session after the other, each with a frontend; beside it one ``kmux run``."""
    rows: list[tuple[str, ...]] = []
    raw: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        frontends: list[Frontend] = []
        process = opener.daemon.process
        alone = _resident_mb(process)
        rows.append((f"{DAEMON}, no session", f"{alone:.1f}", "", "", "", ""))
        started: list[float] = []
        for count in effort.daemon_sessions:
            while len(frontends) < count:
                begun = time.monotonic()
                (side,) = opener.open(SYNTHETIC, [DAEMON])
                started.append(time.monotonic() - begun)
                frontends.append(_attach(opener, side, stack))
            found = _idle(process, frontends, effort.idle_seconds)
            raw[f"{DAEMON}, {count}"] = found
            rows.append(_row(f"{DAEMON}, {count} sessions", found, (found["mb"] - alone) / count))
        (side,) = opener.open(SYNTHETIC, [KMUX])
        assert side.proxy is not None
        one = _idle(side.proxy, [_attach(opener, side, stack)], effort.idle_seconds)
        raw[KMUX] = one
        rows.append(_row("kmux run, one session", one, one["mb"]))
    most = effort.daemon_sessions[-1]
    last = raw[f"{DAEMON}, {most}"]
    return Result(
        title=f"daemon: {most} sessions of a synthetic kernel, each with a frontend that is silent",
        columns=(
            "process",
            "RSS, MB",
            "MB a session",
            "idle CPU, % of a core",
            "wake-ups/s",
            "with pings, %",
        ),
        rows=rows,
        targets=[
            Target(
                text=f"{most} idle sessions, % of a core",
                measured=last["percent"],
                limit=CPU_LIMIT_PERCENT,
            )
        ],
        notes=[
            "with pings: each frontend sends a heartbeat once a second, as consoles do",
            f"as {most} processes: {most * one['mb']:,.0f} MB, {most * one['percent']:.1f} % idle",
            f"a session was ready {median(started):.2f} s after it was asked for (median)",
            "RSS and CPU are without the kernels'",
        ],
        raw={"alone_mb": alone, "ready_seconds": started, **raw},
    )


def _row(name: str, found: dict[str, float], each: float) -> tuple[str, ...]:
    return (
        name,
        f"{found['mb']:.1f}",
        f"{each:.2f}",
        f"{found['percent']:.3f}",
        f"{found['wakeups']:.1f}",
        f"{found['pinging_percent']:.3f}",
    )


def _attach(opener: Sides, side: Side, stack: ExitStack) -> Frontend:
    """Attach what is the session's only frontend."""
    side.client.close()
    frontend = stack.enter_context(opener.frontend(side))
    frontend.ask("kernel_info_request", {})
    return frontend


def _idle(process: Process, frontends: list[Frontend], seconds: float) -> dict[str, float]:
    time.sleep(SETTLE_SECONDS)
    before, slept = process.cpu_seconds(), process.sleeps()
    time.sleep(seconds)
    used, slept = process.cpu_seconds() - before, process.sleeps() - slept
    before, begun = process.cpu_seconds(), time.monotonic()
    for number in range(round(seconds / PING_SECONDS) * len(frontends)):
        due = begun + number / len(frontends) * PING_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        frontends[number % len(frontends)].ping()
    pinged = time.monotonic() - begun
    return {
        "mb": _resident_mb(process),
        "percent": used / seconds * 100,
        "wakeups": slept / seconds,
        "pinging_percent": (process.cpu_seconds() - before) / pinged * 100,
    }


def _resident_mb(process: Process) -> float:
    return process.resident_bytes() / 1e6
