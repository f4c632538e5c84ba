"""What is done to a session by its name, whoever has it: ``kmux interrupt``, ``restart``, …"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.frontends.kmux_process import DEADLINE, Daemon, has_ended, until

pytestmark = pytest.mark.timeout(120)


def test_a_session_by_its_name(daemon: Daemon) -> None:
    made = daemon.json("new", "analysis")
    client = daemon.attach(made["connection_file"])
    loop = client.start_loop()
    waiting = client.execute("1")
    (row,) = daemon.json("clients", "analysis")
    assert (row["name"], row["kind"]) == (client.session.session, "shared")
    assert row["waiting"] == 1
    assert [entry["msg_id"] for entry in daemon.json("queue", "analysis")] == [loop, waiting]
    assert daemon.kmux("interrupt", "analysis") == "interrupted analysis\n"
    assert client.finish(loop)["ename"] == "KeyboardInterrupt"

    assert daemon.kmux("rename", "analysis", "thesis") == "analysis is called thesis now\n"
    assert "no session 'analysis' runs" in daemon.refused("queue", "analysis")
    assert "is not a name" in daemon.refused("rename", "thesis", "a/b")

    client.run("x = 1")
    loop = client.start_loop()
    said = daemon.kmux("restart", "thesis")
    assert client.reply(loop)["content"]["status"] == "error"
    assert client.run("x")["ename"] == "NameError"
    (row,) = daemon.json("ps")
    assert said == f"restarted thesis: process {row['pid']}\n"
    assert row["pid"] != made["pid"]

    assert daemon.kmux("stop", "thesis") == "stopped thesis\n"
    assert daemon.json("ps") == []
    assert has_ended(row["pid"])
    assert not os.path.exists(made["connection_file"])
    for command in ("attach", "logs", "restart"):
        assert daemon.refused(command, "thesis").startswith("no session 'thesis' runs")


def test_who_gets_a_name_that_another_one_had_gets_other_files(daemon: Daemon) -> None:
    before = daemon.json("new", "analysis")["connection_file"]
    daemon.kmux("rename", "analysis", "thesis")
    assert daemon.kmux("attach", "thesis").strip() == before
    after = daemon.json("new", "analysis")["connection_file"]
    assert after != before
    daemon.kmux("stop", "analysis")
    assert daemon.attach(before).run("1")["status"] == "ok"


def test_what_a_kernels_process_writes(daemon: Daemon) -> None:
    client = daemon.attach(daemon.json("new", "analysis")["connection_file"])
    follower = subprocess.Popen(
        [sys.executable, "-m", "proxy", "logs", "analysis", "-f"],
        env=daemon.workplace.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert follower.stdout is not None
    try:
        client.run("import os; os.write(2, b'from a C library\\nand then')")
        lines = daemon.kmux("logs", "analysis", "-n", "1").splitlines()
        assert lines == ["from a C library", "and then"], "with the line that is not ended"
        until(lambda: follower.stdout.readline() == "from a C library\n", "it is followed")
        client.run("import faulthandler; faulthandler.enable(os.fdopen(2, 'w', closefd=False))")
        client.execute("import ctypes; ctypes.string_at(0)")
        client.hear_status("restarting")
        shown = daemon.kmux("logs", "analysis")
        assert "Fatal Python error: Segmentation fault" in shown
        daemon.kmux("stop", "analysis")
        assert follower.wait(DEADLINE) == 0, "it ends with the session"
        assert "Segmentation fault" in follower.stdout.read()
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_a_dead_kernel_and_its_problem(daemon: Daemon) -> None:
    """It is given up when it has died five times in a minute."""
    client = daemon.attach(daemon.json("new", "doomed")["connection_file"])
    for _ in range(6):
        cell = client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert client.reply(cell)["content"]["ename"] == "KernelDied"
    client.hear_status("dead")
    (row,) = daemon.json("ps")
    assert row["status"] == "dead"
    listed = daemon.workplace.kmux("ps")
    assert "doomed\tpython3\tpython\tkernelspec\tdead\t1" in listed.stdout
    assert listed.stderr == f"doomed: {row['problem']}\n"
    assert "killed by SIGKILL" in row["problem"]
    assert daemon.kmux("restart", "doomed").startswith("restarted doomed: process ")
    assert client.run("print('again')")["status"] == "ok"


def test_all_are_ended_also_those_of_a_kmux_run_and_of_a_daemon_that_was_killed(
    daemon: Daemon,
) -> None:
    kept = daemon.json("new", "kept")["pid"]
    os.kill(daemon.pid, signal.SIGKILL)
    with daemon.workplace.run("--name", "running") as kmux:
        kmux.client()
        assert daemon.kmux("stop", "--all") == "stopped kept\nstopped running\n"
        assert kmux.process.wait(15) == 0
    assert has_ended(kept)
    assert daemon.json("ps") == []
