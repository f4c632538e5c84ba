"""WebSocket clients of a session over restarts and crashes of the daemon."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from websocket import WebSocketConnectionClosedException

from tests.frontends.kmux_process import Daemon, until
from tests.frontends.web_client import WebApi, WebKernel, api_of, printed

pytestmark = pytest.mark.timeout(120)

COUNT = """
import time
for number in range({lines}):
    print(number, flush=True)
    time.sleep({pause})
"""


def begin(daemon: Daemon) -> tuple[WebApi, str]:
    daemon.json("new", "work")
    api = api_of(daemon)
    (kernel,) = api.get("api/kernels")
    return api, kernel["id"]


def read_to_the_end(kernel: WebKernel) -> None:
    """Hear what comes until the daemon closes the connection."""
    with pytest.raises((WebSocketConnectionClosedException, ConnectionError)):
        kernel.hear(lambda message: False)
    kernel.connection.shutdown()


def test_another_daemon_takes_its_place_and_nothing_is_missed(daemon: Daemon) -> None:
    lines = 2000
    api, kernel_id = begin(daemon)
    first = api.connect(kernel_id, "alice")
    cell = first.execute(COUNT.format(lines=lines, pause=0.002))
    waiting = first.execute("print('done')")
    first.hear(lambda message: message["header"]["msg_type"] == "stream")
    with ThreadPoolExecutor() as threads:
        restart = threads.submit(daemon.kmux, "daemon", "restart")
        read_to_the_end(first)
        restart.result()
    until(lambda: daemon.json("daemon", "status")["url"] == api.url, "it serves at the same place")
    with api.connect(kernel_id, "alice") as second:
        assert second.reply(cell)["status"] == "ok"
        assert second.reply(waiting)["status"] == "ok"
        second.until_idle(waiting)
        shown = printed([first, second], cell)
        assert shown.split() == [str(number) for number in range(lines)]
        assert second.printed(waiting) == "done\n"


def test_after_a_crash_the_client_goes_on_and_gets_its_reply(daemon: Daemon) -> None:
    api, kernel_id = begin(daemon)
    first = api.connect(kernel_id, "alice")
    cell = first.execute(COUNT.format(lines=40, pause=0.1))
    first.hear(lambda message: message["header"]["msg_type"] == "stream")
    os.kill(daemon.pid, signal.SIGKILL)
    read_to_the_end(first)
    daemon.kmux("daemon", "start")
    until(lambda: daemon.json("daemon", "status")["url"] == api.url, "it serves at the same place")
    with api.connect(kernel_id, "alice") as second:
        assert second.reply(cell)["status"] == "ok"
        second.until_idle(cell)
        assert second.printed(cell).split()[-1] == "39"
        assert second.run("print('on')") == "on\n"


def test_a_script_that_comes_back_gets_what_it_missed_once(daemon: Daemon) -> None:
    """websocket-client answers pings only while it reads, which is until the cell is idle."""
    api, kernel_id = begin(daemon)
    for round_ in range(3):
        with api.connect(kernel_id, "alice") as alice:
            cell = alice.execute(f"print({round_})")
            alice.reply(cell)
            alice.until_idle(cell)
            assert [message["header"]["msg_type"] for message in alice.heard].count(
                "stream"
            ) == 1 + (round_ > 0)
        with api.connect(kernel_id, "bob") as bob:
            missed = bob.execute("print('missed')")
            bob.until_idle(missed)
            bob.reply(missed)
    with api.connect(kernel_id, "alice") as alice:
        alice.until_idle(missed)
        kinds = [
            (m["header"]["msg_type"], m["content"].get("execution_state")) for m in alice.heard
        ]
        assert kinds == [
            ("status", "busy"),
            ("execute_input", None),
            ("stream", None),
            ("status", "idle"),
        ]


def test_a_client_that_may_only_look(daemon: Daemon) -> None:
    api, kernel_id = begin(daemon)
    looking = api_of(daemon, read_only=True)
    with api.connect(kernel_id, "alice") as alice, looking.connect(kernel_id, "eve") as eve:
        assert eve.reply(eve.execute("x = 1"))["ename"] == "ReadOnly"
        cell = alice.execute("print('x' in globals())")
        eve.until_idle(cell)
        assert eve.printed(cell) == "False\n"
        kinds = {client["name"]: client["kind"] for client in daemon.json("clients", "work")}
        assert kinds == {"alice": "web", "eve": "web, read-only"}
