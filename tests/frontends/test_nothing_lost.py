"""A burst reaches every frontend whole and in order, whatever another frontend does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from proxy.endpoints.subscribers import SLOW_SUBSCRIBER_LIMIT_BYTES
from tests.frontends.kmux_process import Kmux, Workplace, until

pytestmark = pytest.mark.timeout(300)

MEMORY_BOUND_BYTES = 60 * 1024**2 + 3 * SLOW_SUBSCRIBER_LIMIT_BYTES
"""docs/architecture.md, "Bounds": a quiet kmux, and a subscriber that is as slow as may be."""

_BYSTANDER = """
import sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=30)
print("attached", flush=True)
while True:
    message = client.get_iopub_msg()
    if message["content"].get("text", "").startswith("after the burst"):
        print("awake", flush=True)
"""


@contextmanager
def stopped_frontend(kmux: Kmux) -> Iterator[subprocess.Popen[str]]:
    """Attach a frontend in a process of its own, and SIGSTOP it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BYSTANDER, str(kmux.file)],
        env=kmux.workplace.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "attached\n"
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("count", [5_000, pytest.param(20_000, marks=pytest.mark.thorough)])
def test_burst_of_display_data(workplace: Workplace, count: int) -> None:
    with workplace.run() as kmux:
        client, other = kmux.client(), kmux.client()
        cell = client.execute(
            "from IPython.display import display\n"
            f"for i in range({count}): display({{'text/plain': str(i)}}, raw=True)"
        )
        for each in (client, other):
            published = each.until_idle(cell, timeout=120)
            texts = [
                m["content"]["data"]["text/plain"] for m in published if "data" in m["content"]
            ]
            assert texts == [str(i) for i in range(count)]


@pytest.mark.parametrize(
    ("flush", "lines"),
    [(False, 200_000), pytest.param(True, 200_000, marks=pytest.mark.soak)],
    ids=["as the kernel joins them", "one message a line"],
)
def test_lines_while_another_frontend_is_stopped(
    workplace: Workplace, flush: bool, lines: int
) -> None:
    with workplace.run(KMUX_LOG_LEVEL="debug") as kmux:
        client = kmux.client()
        with stopped_frontend(kmux) as stopped:
            process = psutil.Process(kmux.process.pid)
            cell = client.execute(f"for i in range({lines}): print(i, 'x' * 40, flush={flush})")
            printed, peak = [], 0
            while True:
                message = client.get_iopub_msg(timeout=60)
                if message["parent_header"].get("msg_id") != cell:
                    continue
                if message["msg_type"] == "stream":
                    printed.append(message["content"]["text"])
                    if len(printed) % 1000 == 1:
                        peak = max(peak, process.memory_info().rss)
                elif message["content"].get("execution_state") == "idle":
                    break
            peak = max(peak, process.memory_info().rss)
            assert "".join(printed) == "".join(f"{i} {'x' * 40}\n" for i in range(lines))
            assert peak < MEMORY_BOUND_BYTES
            if flush:
                assert kmux.events("client.cut_off"), "it was past the bound, and not cut off"
            stopped.send_signal(signal.SIGCONT)
            assert stopped.stdout is not None
            if kmux.events("client.cut_off"):  # its libzmq subscribes again by itself
                until(lambda: len(kmux.events("client.subscribed")) == 3, "it is back")
            client.run("print('after the burst')")
            assert stopped.stdout.readline() == "awake\n"
