"""Kernels that outlive the daemon: killed, stopped, replaced, with real kernels and frontends."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.frontends.kmux_process import Client, Daemon, until
from tests.frontends.widgets import (
    CONTROL_VERSION,
    asking_states,
    comparable,
    on_comm,
    opening,
    own_states,
    states_in,
)

pytestmark = [pytest.mark.timeout(120), pytest.mark.alone]

COUNT = """
import time
for number in range({lines}):
    print(number, flush=True)
    time.sleep({pause})
"""


def begin(daemon: Daemon, name: str = "work") -> tuple[dict[str, Any], Client]:
    """A session with a frontend on it."""
    session = daemon.json("new", name)
    return session, daemon.attach(session["connection_file"])


def kill(daemon: Daemon) -> None:
    """End the daemon as a crash would."""
    process = psutil.Process(daemon.pid)
    process.kill()
    process.wait()


WIDGETS = """
import ipywidgets
shown = ipywidgets.VBox([
    ipywidgets.IntSlider(7), ipywidgets.Image(value=bytes(range(256))), ipywidgets.Text("grün"),
])
shown
"""


def states_of(client: Client) -> Any:
    """What a late joiner is told of all widgets."""
    control_id = f"control-{client.session.session}"
    client.send("shell", "comm_open", opening(control_id), metadata=CONTROL_VERSION)
    client.send("shell", "comm_msg", asking_states(control_id))
    return comparable(states_in(client.hear(on_comm(control_id), "all states")))


def printed(messages: list[dict[str, Any]]) -> list[str]:
    text = (m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    return "".join(text).splitlines()


def test_a_daemon_that_is_killed_in_the_middle_of_a_cell(daemon: Daemon) -> None:
    before, alice = begin(daemon)
    bob = daemon.attach(before["connection_file"])
    cell = alice.execute(COUNT.format(lines=60, pause=0.1))
    alice.hear_stream(cell)
    second, third = alice.execute("x = 42"), bob.execute("print('bob')")
    bob.arrive()
    until(lambda: len(daemon.json("queue", "work")) == 3, "all cells are in the queue")
    os.kill(daemon.pid, signal.SIGKILL)

    after = daemon.json("new", "other")  # the next command starts the next daemon
    assert after["name"] == "other"
    found = next(s for s in daemon.json("ps") if s["name"] == "work")
    for key in ("pid", "connection_file"):
        assert found[key] == before[key]
    assert alice.finish(cell)["status"] == "ok"
    assert printed(alice.out)[-1] == "59"
    assert alice.finish(second)["status"] == "ok"
    assert bob.finish(third)["status"] == "ok"
    assert bob.text() == "bob\n"
    assert len(daemon.workplace.record("work").record.missed) == 1


def test_a_daemon_that_takes_anothers_place_misses_nothing(daemon: Daemon) -> None:
    lines = 2000
    session, alice = begin(daemon)
    cell = alice.execute(COUNT.format(lines=lines, pause=0.002))
    waiting = alice.execute("print('done')")
    alice.hear_stream(cell)
    before = daemon.pid
    daemon.kmux("daemon", "restart")
    assert daemon.pid != before
    assert alice.finish(cell, timeout=60)["status"] == "ok"
    assert printed(alice.out) == [str(number) for number in range(1, lines)]
    assert alice.finish(waiting)["status"] == "ok"
    daemon.kmux("ps")
    record = daemon.workplace.record("work").record
    assert record.missed == []
    assert session["pid"] == daemon.json("ps")[0]["pid"]


def test_whoever_asks_while_a_daemon_takes_anothers_place_is_answered_once(daemon: Daemon) -> None:
    """One asks without a pause, one cell after the other; one sends many at once."""
    session, alice = begin(daemon)
    bob = daemon.attach(session["connection_file"])
    with ThreadPoolExecutor() as threads:
        for _ in range(5):
            cells = [alice.execute(f"print({number})") for number in range(20)]
            restart = threads.submit(daemon.kmux, "daemon", "restart")
            while not restart.done():
                bob.reply(bob.complete("pri"))
            restart.result()
            for number, cell in enumerate(cells):
                assert alice.finish(cell)["status"] == "ok"
                assert alice.text() == f"{number}\n"
    bob.arrive()
    assert not bob.shell_channel.msg_ready(), "answered twice"


def test_a_prompt_waits_for_its_answer_over_a_crash(daemon: Daemon) -> None:
    _, alice = begin(daemon)
    cell = alice.execute("print('heard', input('? '))", allow_stdin=True)
    alice.get_stdin_msg(timeout=30)
    alice.arrive()
    kill(daemon)
    daemon.kmux("daemon", "start")
    alice.arrive()  # so it is heard, and asked again
    assert alice.get_stdin_msg(timeout=30)["content"]["prompt"] == "? "
    alice.input("yes")
    alice.finish(cell)
    assert alice.text() == "heard yes\n"


def test_a_late_joiner_finds_the_widgets_of_before_while_the_kernel_is_busy(
    daemon: Daemon,
) -> None:
    session, alice = begin(daemon)
    alice.run(WIDGETS)
    known = comparable(own_states(alice))
    alice.start_loop()
    kill(daemon)
    daemon.kmux("daemon", "start")
    assert states_of(daemon.attach(session["connection_file"])) == known


def test_closing_every_frontend_leaves_the_kernel(daemon: Daemon) -> None:
    session, alice = begin(daemon)
    alice.run("x = 1")
    alice.send("control", "shutdown_request", {"restart": False})
    daemon.stop_clients()
    until(lambda: daemon.json("ps")[0]["clients"] == 0, "nobody is attached")
    bob = daemon.attach(session["connection_file"])
    bob.run("print(x)")
    assert bob.text() == "1\n"


def test_stopping_the_daemon_leaves_kernels_and_stopping_all_ends_them(daemon: Daemon) -> None:
    session, alice = begin(daemon)
    alice.run("x = 1")
    daemon.kmux("daemon", "stop")
    assert psutil.pid_exists(session["pid"])
    assert daemon.json("new", "other")["name"] == "other"
    alice.run("print(x)")
    assert alice.text() == "1\n"
    daemon.kmux("daemon", "stop", "--all")
    until(lambda: not psutil.pid_exists(session["pid"]), "the kernel has ended")
    assert not Path(session["connection_file"]).exists()


def test_a_kernel_that_died_meanwhile_is_shown_as_dead_and_can_be_restarted(
    daemon: Daemon,
) -> None:
    session, alice = begin(daemon)
    _, carol = begin(daemon, "another")
    cell = alice.start_loop()
    kill(daemon)
    os.kill(session["pid"], signal.SIGKILL)
    daemon.kmux("daemon", "start")
    dead = next(s for s in daemon.json("ps") if s["name"] == "work")
    assert dead["status"] == "dead"
    assert "killed by SIGKILL while kmux was away" in dead["problem"]
    assert alice.reply(cell)["content"]["ename"] == "KernelDied"
    carol.run("1")
    daemon.kmux("restart", "work")
    assert alice.run("print('back')")["status"] == "ok"


def test_a_session_whose_state_is_damaged_leaves_the_others_alone(daemon: Daemon) -> None:
    begin(daemon, "broken")
    _, alice = begin(daemon, "whole")
    alice.run("x = 1")
    sessions = daemon.workplace.root / "data" / "sessions"
    kill(daemon)
    (sessions / "empty").mkdir()
    states = {path.parent: path.read_text() for path in sessions.glob("*/session.json")}
    broken = next(path for path, text in states.items() if '"broken"' in text)
    (broken / "session.json").write_text(states[broken][: len(states[broken]) // 2])
    daemon.kmux("daemon", "start")
    assert [s["name"] for s in daemon.json("ps")] == ["whole"]
    alice.run("print(x)")
    assert alice.text() == "1\n"
    (broken / "session.json").write_text(states[broken])  # so that it is ended with the test
    daemon.kmux("daemon", "restart")
    assert [s["name"] for s in daemon.json("ps")] == ["broken", "whole"]


def test_a_carried_file_that_is_damaged_costs_what_was_in_it_and_no_more(daemon: Daemon) -> None:
    _, alice = begin(daemon)
    alice.run("x = 1")
    sessions = daemon.workplace.root / "data" / "sessions"
    kill(daemon)
    (file,) = sessions.glob("*/carried.msgpack")
    file.write_bytes(file.read_bytes()[:-5])
    daemon.kmux("daemon", "start")
    alice.attach()  # what is published before it has subscribed again was kept for others only
    alice.run("print(x)")
    assert alice.text() == "1\n"


@pytest.mark.thorough
def test_a_session_that_nobody_uses_ends_when_its_time_is_over(daemon: Daemon) -> None:
    session = daemon.json("new", "short", KMUX_IDLE_TIMEOUT_HOURS="0.0001")
    until(lambda: not daemon.json("ps"), "it is over", seconds=60)
    assert not psutil.pid_exists(session["pid"])
