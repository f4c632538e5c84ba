"""``Session.handle`` alone, on real traffic: recorded when the run begins, then played again.

No sockets, no kernel, no clock but the measuring one: what is left is what kmux decides.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from statistics import mean, median

import zmq

from bench import recording
from bench.conversation import converse
from bench.effort import Effort
from bench.errors import BenchError
from bench.frontend import attached
from bench.processes import running, wait_for_file
from bench.recording import Recording
from bench.report import Result, median_and_range
from bench.stopwatch import without_garbage_collection
from bench.workspace import IPYKERNEL, Workspace


def session(workspace: Workspace, effort: Effort) -> Result:
    """Record one conversation; replay it into new sessions, whole and event by event."""
    recorded, talked = _record(workspace, effort.session_turns)
    _check(recorded)
    kinds = [recording.kind(event) for event in recorded.events]
    rates: list[float] = []
    replays: list[list[float]] = []
    for _ in range(effort.session_replays):
        with without_garbage_collection():
            rates.append(len(kinds) / _replay(recorded))
            replays.append(_replay_one_by_one(recorded))
    # Event by event: who else used the processor was in the way of other events each time.
    spent: dict[str, list[float]] = defaultdict(list)
    made: dict[str, int] = defaultdict(int)
    for kind, times, commands in zip(
        kinds, zip(*replays, strict=True), recorded.outcomes, strict=True
    ):
        spent[kind].append(median(times) * 1e6)
        made[kind] += len(commands)
    total = sum(map(sum, spent.values()))
    rows = [
        (
            kind,
            f"{len(times):,}",
            f"{mean(times):,.2f}",
            f"{max(times):,.2f}",
            f"{sum(times) / total:.1%}",
            f"{made[kind] / len(times):.1f}",
        )
        for kind, times in sorted(spent.items(), key=lambda item: sum(item[1]), reverse=True)
    ]
    return Result(
        title=f"session: {len(kinds):,} recorded events, handled without sockets",
        columns=("event", "of them", "µs each", "the slowest", "of the time", "commands each"),
        rows=rows,
        notes=[
            f"all in a row, as recorded: {median_and_range(rates)} events per second of CPU time",
            f"the conversation took {talked:.0f} s, "
            f"of which the session used {len(kinds) / median(rates):.3f} s",
            "each replay made the same commands as the recording, event by event",
            f"each event's time is its median of {effort.session_replays} replays",
        ],
        raw={
            "events_per_second": rates,
            "us": {kind: mean(times) for kind, times in spent.items()},
            "events": {kind: len(times) for kind, times in spent.items()},
        },
    )


def _record(workspace: Workspace, turns: int) -> tuple[Recording, float]:
    """Have the conversation through kmux. Returns how many seconds it took, as well."""
    frontend_file, file = workspace.new_file("recorder"), workspace.new_file("recording")
    command = [sys.executable, "-m", "bench.recorder", IPYKERNEL, str(frontend_file), str(file)]
    with ExitStack() as stack:
        process = stack.enter_context(
            running("recorder", command, workspace.environment, workspace.directory)
        )
        wait_for_file(frontend_file, process)
        info = json.loads(frontend_file.read_bytes())
        attach = partial(attached, stack.enter_context(zmq.Context()), info)
        with attach() as one, attach() as other:
            one.wait_until_ready()
            start = time.monotonic()
            converse(one, other, attach, turns)
            took = time.monotonic() - start
        process.stop()
    if not file.exists():
        raise BenchError("the recorder wrote nothing")
    return recording.read(file), took


def _check(recorded: Recording) -> None:
    """Raise :class:`BenchError` where a replay takes another way than what was recorded."""
    handle = recorded.new_session().handle
    for number, (event, outcome) in enumerate(zip(recorded.events, recorded.outcomes, strict=True)):
        made = recording.outcome(handle(event))
        if made != outcome:
            kind = recording.kind(event)
            raise BenchError(f"event {number}, {kind}: {made} now, {outcome} when recorded")


def _replay(recorded: Recording) -> float:
    """Hand everything to a new session; return the seconds of CPU time."""
    handle = recorded.new_session().handle
    start = time.thread_time()
    for event in recorded.events:
        handle(event)
    return time.thread_time() - start


def _replay_one_by_one(recorded: Recording) -> list[float]:
    """Hand everything to a new session; return the seconds of each event."""
    handle, now = recorded.new_session().handle, time.perf_counter
    times, readings = [], []
    for event in recorded.events:
        start = now()
        handle(event)
        handled = now()
        readings.append(now() - handled)
        times.append(handled - start)
    reading = median(readings)  # there is one in each of the times
    return [seconds - reading for seconds in times]
