"""``kmux run`` on the daemon: who comes and goes is shown, and the kernel stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.daemon.test_choosing import wants
from tests.frontends.kmux_process import DEADLINE, Daemon

pytestmark = pytest.mark.timeout(120)


class Foreground:
    """A ``kmux run`` in a terminal of its own, more or less."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def says(self, text: str) -> None:
        """Wait until it has said this."""
        assert self.process.stdout is not None
        while text not in self.said:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.said}"
            self.said += line

    def press_ctrl_c(self) -> None:
        self.process.send_signal(signal.SIGINT)


@contextmanager
def running(daemon: Daemon, *options: str) -> Iterator[Foreground]:
    """Run it until the block is left; by then it is to have ended well."""
    environment = {**daemon.workplace.environment}
    del environment["KMUX_DAEMON_EXECUTION"]  # the daemon is the default
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "run", *options],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield Foreground(process)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_kernel_stays_when_it_leaves(daemon: Daemon) -> None:
    with running(daemon, "--name", "shared", "--replay") as run:
        run.says("twice leaves it to the daemon")
        (session,) = daemon.json("ps")
        assert f"connection file  {session['connection_file']}" in run.said
        assert "jupyter console --existing kernel-kmux-shared.json" in run.said
        assert f"with a replay    {daemon.kmux('attach', 'shared', '--replay')}" in run.said
        client = daemon.attach(session["connection_file"])
        run.says(f"attached: {client.session.session[:24]} (1 connected)")
        loop = client.start_loop()
        run.press_ctrl_c()
        assert client.finish(loop)["ename"] == "KeyboardInterrupt"
        run.says("press Ctrl-C again to leave")
        run.press_ctrl_c()
        run.says("the kernel goes on; kmux stop shared ends it")
    assert client.run("print('still', 'here')")["status"] == "ok"

    with running(daemon, "--name", "shared") as run:
        run.says("shared: sharing kernel python3")
        run.says("(1 connected)")
        client.stop_channels()
        run.says("left: ")
        os.kill(daemon.pid, signal.SIGKILL)
        other = daemon.attach(session["connection_file"])  # the next one is started by who watches
        run.says(f"attached: {other.session.session[:24]}")
        daemon.kmux("stop", "shared")
        run.says("shared has ended")


def test_what_the_daemon_does_not_know(daemon: Daemon) -> None:
    assert daemon.refused("run", "--daemon", "--curve") == (
        "--curve is not for the daemon; leave --daemon out. See: kmux run --help"
    )
    daemon.kmux("new", "shared")
    said = daemon.refused("run", "--daemon", "--name", "shared", "--kernel", "bash")
    assert said.startswith("session 'shared' runs already, with kernel python3")


def test_a_session_whose_notebook_chooses_its_kernel_is_found_as_such(daemon: Daemon) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    daemon.json("new", "mine", "--notebook", str(notebook), "--trust")
    with running(daemon, "--name", "mine", "--kernel", "auto") as run:
        run.says("mine: sharing kernel python3")
        daemon.kmux("stop", "mine")
        run.says("mine has ended")
    daemon.kmux("new", "other", "--kernel", "python3")
    said = daemon.refused("run", "--daemon", "--name", "other", "--kernel", "auto")
    assert said.startswith("session 'other' runs already, with kernel python3")


def test_standalone_whatever_the_setting_says(daemon: Daemon) -> None:
    options = ("--standalone", "--name", "alone")
    with daemon.workplace.run(*options, KMUX_DAEMON_EXECUTION="true") as kmux:
        kmux.client()
        assert kmux.ps()["daemon"] is False
