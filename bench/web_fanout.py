"""One burst to many WebSocket clients of the daemon: what does a frame cost, and a client more?"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median

from bench import messages
from bench.effort import Effort
from bench.messages import HEADER
from bench.report import Result, Target, median_and_range
from bench.sides import DAEMON_UNRECORDED, Side, Sides
from bench.subscribers import Heard, Subscribers, open_subscribers
from bench.web_servers import kernel_of, served_by
from bench.web_subscribers import MODULE
from bench.workspace import SYNTHETIC, Workspace

WEB, ZMQ = "WebSocket", "ZMQ"


def web_fanout(workspace: Workspace, effort: Effort) -> Result:
    """A burst from the synthetic kernel to 1, 8 and 32 clients; beside it, as many by ZMQ."""
    count, sizes = effort.fanout_messages, effort.fanout_subscribers
    cpu: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in (WEB, ZMQ)}
    rate: dict[str, dict[int, list[float]]] = {name: defaultdict(list) for name in (WEB, ZMQ)}
    incomplete = 0
    with (
        Sides(workspace) as opener,
        open_subscribers(workspace, MODULE) as by_web,
        open_subscribers(workspace) as by_zmq,
    ):
        (side,) = opener.open(SYNTHETIC, [DAEMON_UNRECORDED])
        side.client.stop_listening()
        server = served_by(opener.daemon, workspace)
        channels = server.channels(kernel_of(server, side.session))

        def connect_web(size: int, msg_id: bytes) -> Subscribers:
            by_web.connect(channels, size, msg_id, server.token)
            return by_web

        def connect_zmq(size: int, msg_id: bytes) -> Subscribers:
            by_zmq.connect(side.iopub_url, size, msg_id)
            return by_zmq

        for _ in range(effort.fanout_rounds):
            for size in sizes:
                for name, connect in ((WEB, connect_web), (ZMQ, connect_zmq)):
                    heard, seconds, used = _burst(side, connect, size, count)
                    cpu[name][size].append(used)
                    rate[name][size].append(count / seconds)
                    incomplete += name == WEB and not heard.complete
    return _result(cpu, rate, count, incomplete)


def _burst(
    side: Side, connect: Callable[[int, bytes], Subscribers], size: int, count: int
) -> tuple[Heard, float, float]:
    """Return what was heard, the seconds that it took, and the CPU seconds of the daemon."""
    assert side.proxy is not None
    trigger = side.client.prepare_burst(count)
    subscribers = connect(size, messages.id_of(trigger[HEADER]))
    subscribers.wait_until_ready(lambda: side.client.ask("kernel_info_request", {}))
    before = side.proxy.settled_cpu_seconds()
    start = time.monotonic()
    side.client.send(trigger)
    heard = subscribers.heard(count)
    used = side.proxy.settled_cpu_seconds() - before
    side.client.finish(messages.id_of(trigger[HEADER]))
    return heard, heard.finished - start, used


def _result(
    cpu: dict[str, dict[int, list[float]]],
    rate: dict[str, dict[int, list[float]]],
    count: int,
    incomplete: int,
) -> Result:
    middle = {
        name: {size: median(values) for size, values in by_size.items()}
        for name, by_size in cpu.items()
    }
    rows = []
    for name, by_size in middle.items():
        few = next(iter(by_size))
        for size, used in by_size.items():
            more = (used - by_size[few]) / (size - few) / count * 1e6 if size > few else None
            rows.append(
                (
                    name,
                    str(size),
                    median_and_range(cpu[name][size], 2),
                    f"{used / by_size[few]:.2f} ×",
                    f"{size * count / used:,.0f}",
                    f"{used / count * 1e6:.1f}",
                    f"{more:.2f}" if more is not None else "",
                    median_and_range(rate[name][size]),
                )
            )
    return Result(
        title=f"web-fanout: {count:,} pre-built messages of 600 bytes to clients of the daemon",
        columns=(
            "by",
            "clients",
            "daemon's CPU, s",
            "of 1's",
            "frames/s per core",
            "µs a message",
            "µs a further client",
            "messages/s to all",
        ),
        rows=rows,
        targets=[Target(text="bursts not whole at some client", measured=incomplete, limit=0)],
        notes=["the session has no record; all CPU of the daemon's process counts, on any core"],
        raw={"daemon_cpu_seconds": cpu, "rate": rate},
    )
