"""A slider that one frontend drags and another one shows: how far behind is it?"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median, quantiles

from bench import messages
from bench.client import Client
from bench.effort import Effort
from bench.messages import CONTENT, HEADER, PARENT
from bench.report import Result, Target, median_and_range
from bench.sides import DIRECT, KMUX, ZMQ_PROXY, Sides
from bench.widgets import create_slider, update, value_of
from bench.workspace import IPYKERNEL, Workspace

LIMIT = 1.2
UPDATES_PER_SECOND = 60
"""As often as a browser draws."""


def slider(workspace: Workspace, effort: Effort) -> Result:
    """One frontend sends updates at a steady pace, another one hears them from the kernel."""
    drags: dict[str, list[list[float]]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    count = effort.slider_updates
    with ExitStack() as stack:
        opener = stack.enter_context(Sides(workspace))
        sides = opener.open(IPYKERNEL, [DIRECT, ZMQ_PROXY, KMUX])
        others = {side.name: stack.enter_context(opener.frontend(side)) for side in sides}
        comm_ids = {side.name: create_slider(side.client) for side in sides}
        watching = stack.enter_context(ThreadPoolExecutor(1))
        for drag in range(1 + effort.slider_rounds):
            for side in sides:
                mover = side.client
                values = range(drag * count + 1, (drag + 1) * count + 1)
                updates = [update(mover.author, comm_ids[side.name], value) for value in values]
                last = messages.id_of(updates[-1][HEADER])
                before = side.proxy.cpu_seconds() if side.proxy else 0.0
                heard = watching.submit(others[side.name].comm_messages, last)
                sent = _send_steadily(mover, updates)
                mover.comm_messages(last)  # what it hears itself
                delays = _delays(updates, sent, heard.result())
                if not drag:
                    continue  # the first one is to warm up
                drags[side.name].append(delays)
                if side.proxy:
                    used = side.proxy.settled_cpu_seconds() - before
                    cpu[side.name].append(used / count * 1e6)
    return _result(drags, cpu, count)


def _send_steadily(client: Client, updates: Sequence[list[bytes]]) -> list[float]:
    """Send updates at their times, however long each takes. Returns when each one was sent."""
    sent = []
    start = time.perf_counter()
    for number, frames in enumerate(updates):
        time.sleep(max(0.0, start + number / UPDATES_PER_SECOND - time.perf_counter()))
        sent.append(time.perf_counter())
        client.send(frames)
    return sent


def _delays(
    updates: Sequence[list[bytes]],
    sent: Sequence[float],
    heard: Sequence[tuple[float, list[bytes]]],
) -> list[float]:
    """Return the milliseconds until each update was heard; those that were not are left out."""
    came: dict[tuple[str, int], float] = {}
    for when, message in heard:
        parent = json.loads(message[1 + PARENT])["msg_id"]
        came.setdefault((parent, value_of(message[1 + CONTENT])), when)
    keys = [(json.loads(one[HEADER])["msg_id"], value_of(one[CONTENT])) for one in updates]
    return [(came[key] - when) * 1e3 for key, when in zip(keys, sent, strict=True) if key in came]


def _result(drags: dict[str, list[list[float]]], cpu: dict[str, list[float]], count: int) -> Result:
    middles = {name: [median(delays) for delays in those] for name, those in drags.items()}
    middle = {name: median(values) for name, values in middles.items()}
    slowest = {
        name: quantiles([delay for delays in those for delay in delays], n=100)[-1]
        for name, those in drags.items()
    }
    lost = sum(count - len(delays) for delays in drags[KMUX])
    by_round = median(k / d for d, k in zip(middles[DIRECT], middles[KMUX], strict=True))
    rows = [
        (
            name,
            median_and_range(middles[name], 2),
            f"{middle[name] / middle[DIRECT]:.2f} ×",
            f"{slowest[name]:.2f}",
            f"{slowest[name] / slowest[DIRECT]:.2f} ×",
            median_and_range(cpu[name]) if name in cpu else "",
        )
        for name in drags
    ]
    return Result(
        title=(
            f"slider: {count} updates, {UPDATES_PER_SECOND} a second, "
            "until another frontend hears each"
        ),
        columns=(
            "side",
            "ms: median (range of drags)",
            "of direct",
            "p99, ms",
            "of direct",
            "proxy CPU, µs an update",
        ),
        rows=rows,
        targets=[
            Target(
                text="update to the other frontend, median, kmux / direct",
                measured=middle[KMUX] / middle[DIRECT],
                limit=LIMIT,
            ),
            Target(text="updates that the other frontend did not hear", measured=lost, limit=0),
        ],
        notes=[f"the same ratio of medians within each drag: {by_round:.2f}"],
        raw={"ms": drags, "proxy_cpu_us": cpu},
    )
