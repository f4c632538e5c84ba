"""How long a person waits: for commands, and for a daemon that takes another one's place.

All are whole processes, from their start to their end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from threading import Event, Thread

from bench.effort import Effort
from bench.errors import BenchError
from bench.kmux_daemon import client_of, leaving_nothing, new_session
from bench.messages import COMPLETE
from bench.processes import STOP_SECONDS
from bench.report import Result, Target, median_and_range
from bench.sides import DAEMON, Side, Sides
from bench.workspace import IPYKERNEL, SYNTHETIC, Workspace
from proxy.daemon.client import wait_for_end

START_LIMIT_SECONDS = 0.7
PS_LIMIT_SECONDS = 0.25
COMMAND_SECONDS = 60.0

START, STOP, PS, NEW = "daemon start, from nothing", "daemon stop", "ps", "new, ipykernel"
DIRECT = "the same kernel by jupyter_client"
RESTART, GAP = "daemon restart", "a message to a kernel waits"


def commands(workspace: Workspace, effort: Effort) -> Result:
    """Start, ask, stop; kill the daemon and have another one go on; have one take its place."""
    times: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        stack.enter_context(leaving_nothing(workspace))
        kmux = _Command(workspace)
        for number in range(effort.command_rounds):
            times[START].append(kmux("daemon", "start"))
            times[PS].append(kmux("ps"))
            times[NEW].append(kmux("new", f"new-{number}", "--kernel", IPYKERNEL))
            times[DIRECT].append(_start_directly(workspace))
            times[STOP].append(kmux("daemon", "stop", "--all"))
        for count in effort.command_sessions:
            with Sides(workspace) as opener:
                _replace(workspace, opener, kmux, count, effort.command_rounds, times)
                kmux("daemon", "stop", "--all")
    middle = {name: median(values) for name, values in times.items()}
    rows = [(name, median_and_range(values, 2)) for name, values in times.items()]
    return Result(
        title="commands: whole processes, in seconds",
        columns=("what", "s: median (range)"),
        rows=rows,
        targets=[
            Target(text=f"kmux {START}, s", measured=middle[START], limit=START_LIMIT_SECONDS),
            Target(text="kmux ps, s", measured=middle[PS], limit=PS_LIMIT_SECONDS),
        ],
        notes=[
            f"new / jupyter_client: {middle[NEW] / middle[DIRECT]:.2f}; that one is a process of "
            "its own as well, until its kernel has answered",
            "served again: from the start of the command that starts the next daemon, until a "
            "request of each session's frontend, sent before, is answered by its kernel",
        ],
        raw={"seconds": times},
    )


class _Command:
    """Runs ``kmux`` to its end. Returns how long that took."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __call__(self, *arguments: str) -> float:
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            env=self._workspace.environment,
            cwd=self._workspace.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        took = time.perf_counter() - begun
        if done.returncode:
            raise BenchError(f"kmux {' '.join(arguments)} failed: {done.stderr.strip()}")
        return took


def _start_directly(workspace: Workspace) -> float:
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.direct_kernel", IPYKERNEL],
        env=workspace.environment,
        cwd=workspace.directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise BenchError("jupyter_client starts no kernel")
            return time.perf_counter() - begun
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(STOP_SECONDS)


def _replace(
    workspace: Workspace,
    opener: Sides,
    kmux: _Command,
    count: int,
    rounds: int,
    times: dict[str, list[float]],
) -> None:
    """Kill the daemon of so many sessions, again and again; then have another take its place."""
    kmux("daemon", "start")
    sides = [_begin(workspace, opener) for _ in range(count)]
    for side in sides:
        side.client.wait_until_ready()
    for _ in range(rounds):
        _kill(workspace)
        asked = [
            (side, side.client.send(side.client.author.request("complete_request", COMPLETE)))
            for side in sides
        ]
        begun = time.perf_counter()
        kmux("daemon", "start")
        times[f"killed, {count} sessions: the next one answers"].append(time.perf_counter() - begun)
        for side, msg_id in asked:
            side.client.finish(msg_id)
        times[f"killed, {count} sessions: all are served"].append(time.perf_counter() - begun)
    for _ in range(rounds):
        with _asking(sides[0]) as waited:
            times[f"{RESTART}, {count} sessions"].append(kmux("daemon", "restart"))
        times[f"{RESTART}, {count} sessions: {GAP}"].append(max(waited))


def _begin(workspace: Workspace, opener: Sides) -> Side:
    name = workspace.new_file("session").stem
    session = client_of(workspace).new(new_session(workspace, SYNTHETIC, name))
    return opener.reach(DAEMON, Path(session.connection_file))


def _kill(workspace: Workspace) -> None:
    """End the daemon as a crash would, and wait until it is gone."""
    pid = client_of(workspace).status().pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)


@contextlib.contextmanager
def _asking(side: Side) -> Iterator[list[float]]:
    """Ask a kernel, one request after the other. Yields how long each one took, in seconds."""
    times: list[float] = []
    over = Event()

    def ask() -> None:
        while not over.is_set():
            request = side.client.author.request("complete_request", COMPLETE)
            times.extend(side.client.round_trips([request]))

    asker = Thread(target=ask)
    asker.start()
    try:
        yield times
    finally:
        over.set()
        asker.join()
