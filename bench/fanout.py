"""One burst to many frontends: what does one more subscriber cost the process in between?"""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import median

from bench import messages
from bench.effort import Effort
from bench.messages import HEADER
from bench.report import Result, Target, median_and_range
from bench.sides import KMUX, ZMQ_PROXY, Side, Sides
from bench.subscribers import Heard, Subscribers, open_subscribers
from bench.workspace import SYNTHETIC, Workspace

CPU_LIMIT = 1.3
"""Times the CPU of the smallest number of subscribers, for the largest."""


def fanout(workspace: Workspace, effort: Effort) -> Result:
    """A burst from the synthetic kernel to 1, 8 and 32 subscribers on raw sockets."""
    count = effort.fanout_messages
    sizes = effort.fanout_subscribers
    cpu: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in (ZMQ_PROXY, KMUX)}
    rate: dict[str, dict[int, list[float]]] = {
        name: defaultdict(list) for name in (ZMQ_PROXY, KMUX)
    }
    incomplete = 0
    with Sides(workspace) as opener, open_subscribers(workspace) as subscribers:
        sides = opener.open(SYNTHETIC, [ZMQ_PROXY, KMUX])
        for side in sides:
            side.client.stop_listening()
        for _ in range(effort.fanout_rounds):
            for size in sizes:
                for side in sides:
                    heard, seconds, used = _burst(side, subscribers, size, count)
                    cpu[side.name][size].append(used)
                    rate[side.name][size].append(count / seconds)
                    incomplete += side.name == KMUX and not heard.complete
    ratio = {
        name: median(by_size[sizes[-1]]) / median(by_size[sizes[0]])
        for name, by_size in cpu.items()
    }
    rows = [
        (
            name,
            str(size),
            median_and_range(cpu[name][size], 2),
            f"{median(cpu[name][size]) / median(cpu[name][sizes[0]]):.2f} ×",
            median_and_range(rate[name][size]),
        )
        for name in cpu
        for size in sizes
    ]
    extra = {
        name: (median(by_size[sizes[-1]]) - median(by_size[sizes[0]]))
        / (sizes[-1] - sizes[0])
        / count
        * 1e6
        for name, by_size in cpu.items()
    }
    return Result(
        title=f"fanout: {count:,} pre-built messages of 600 bytes to 1, 8 and 32 subscribers",
        columns=("side", "subscribers", "proxy CPU, s", "of 1's", "messages/s to all"),
        rows=rows,
        targets=[
            Target(
                text=f"kmux's CPU, {sizes[-1]} subscribers / {sizes[0]}",
                measured=ratio[KMUX],
                limit=CPU_LIMIT,
            ),
            Target(text="bursts not whole at some subscriber", measured=incomplete, limit=0),
        ],
        notes=[
            f"zmq_proxy's own CPU ratio is {ratio[ZMQ_PROXY]:.2f}",
            f"one more subscriber costs {extra[KMUX]:.2f} µs a message with kmux, "
            f"{extra[ZMQ_PROXY]:.2f} µs with zmq_proxy",
        ],
        raw={"proxy_cpu_seconds": cpu, "rate": rate},
    )


def _burst(
    side: Side, subscribers: Subscribers, size: int, count: int
) -> tuple[Heard, float, float]:
    """Return what was heard, the seconds that it took, and the CPU seconds of the proxy."""
    assert side.proxy is not None
    trigger = side.client.prepare_burst(count)
    subscribers.connect(side.iopub_url, size, messages.id_of(trigger[HEADER]))
    subscribers.wait_until_ready(lambda: side.client.ask("kernel_info_request", {}))
    before = side.proxy.settled_cpu_seconds()
    start = time.monotonic()
    side.client.send(trigger)
    heard = subscribers.heard(count)
    used = side.proxy.settled_cpu_seconds() - before
    side.client.finish(messages.id_of(trigger[HEADER]))
    return heard, heard.finished - start, used
