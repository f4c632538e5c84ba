"""A day in the life of one kernel, from the editor that starts it to the command that stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from tests.frontends.console import console_with
from tests.frontends.kmux_process import Daemon, Workplace, until
from tests.frontends.managed import IN_DAEMON

pytestmark = pytest.mark.timeout(150)

EDITOR = """
import time
from jupyter_client import KernelManager

manager = KernelManager(kernel_name="python3-shared")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
client.execute('''
import time
seen = []
for number in range(150):
    seen.append(number)
    print(number, flush=True)
    time.sleep(0.1)
''')
client.execute("after = len(seen)")
client.kernel_info()  # it is answered at once, when what was sent before it has arrived
while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
    pass
while client.get_shell_msg(timeout=60)["msg_type"] != "kernel_info_reply":
    pass
print("begun", flush=True)
time.sleep(600)
"""


def test_a_day_in_the_life(daemon: Daemon, workplace: Workplace) -> None:
    (workplace.root / "share").mkdir()
    (workplace.root / "share" / "jupyter").symlink_to(workplace.root / "jupyter")
    daemon.kmux("kernelspec", "install", "--prefix", str(workplace.root), **IN_DAEMON)

    # An editor starts a long cell, and another one behind it, and is killed.
    editor = subprocess.Popen(
        [sys.executable, "-c", EDITOR],
        env={**workplace.environment, **IN_DAEMON},
        stdout=subprocess.PIPE,
        text=True,
    )
    with editor:
        assert editor.stdout is not None
        assert editor.stdout.readline() == "begun\n"
        shims = [p for p in psutil.Process(editor.pid).children() if "shim" in p.cmdline()]
        editor.kill()
    _, alive = psutil.wait_procs(shims, timeout=20)
    assert shims
    assert not alive, "what stood for the kernel goes with its frontend"

    # Its kernel works on; whoever looks sees what it does.
    (session,) = daemon.json("ps")
    assert session["status"] == "busy"
    queue = daemon.json("queue", session["name"])
    assert [entry["state"] for entry in queue] == ["executing", "queued"]
    with console_with(workplace, "--existing", session["connection_file"]) as console:
        console.expect("In ")

        # The daemon is killed as well. The next command finds all of it again.
        os.kill(daemon.pid, signal.SIGKILL)
        (again,) = daemon.json("ps")
        for key in ("name", "pid", "connection_file"):
            assert again[key] == session[key]
        assert again["status"] == "busy"
        assert len(daemon.json("queue", session["name"])) == 2

        # Two more come, and wait for their turn.
        alice = daemon.attach(session["connection_file"])
        bob = daemon.attach(session["connection_file"])
        one, other = alice.execute("print(seen[-1])"), bob.execute("print(len(seen))")
        assert alice.finish(one, timeout=60)["status"] == "ok"
        assert alice.text() == "149\n"
        assert bob.finish(other, timeout=60)["status"] == "ok"
        assert bob.text() == "150\n"
        alice.run("print(after)")
        assert alice.text() == "150\n", "the editor's second cell has run"
        console.sendeof()
        console.expect("exit")
        console.sendline("y")

    until(lambda: daemon.json("queue", session["name"]) == [], "nothing is left to do")
    daemon.kmux("stop", session["name"])
    assert not psutil.pid_exists(session["pid"])
    record = workplace.record(session["name"]).record
    first, second = list(record.executions.values())[:2]
    assert (first.end, second.end) == ("ok", "ok")
    assert len(record.missed) == 1, "between two daemons"
