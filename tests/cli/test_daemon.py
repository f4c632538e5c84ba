"""``kmux daemon``: one for each user, started when it is needed, and never in the kernels' way."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from proxy import __version__
from tests.frontends.kmux_process import Daemon, Workplace, has_ended

pytestmark = pytest.mark.timeout(120)


def test_there_is_one(daemon: Daemon) -> None:
    assert "no daemon listens on" in daemon.refused("daemon", "status", status=5)
    started = daemon.kmux("daemon", "start")
    status = daemon.json("daemon", "status")
    socket = f"{daemon.workplace.environment['KMUX_RUNTIME_DIR']}/daemon/control.sock"
    assert started == f"started process {status['pid']} on {socket}\n"
    assert (status["version"], status["socket"]) == (__version__, socket)
    assert status["started"].endswith("Z")
    assert daemon.kmux("daemon", "start") == (
        f"process {status['pid']} runs already, on {socket}\n"
    )
    assert daemon.refused("daemon", "serve") == (
        f"a daemon runs already: process {status['pid']}, on {socket}; see kmux daemon status"
    )
    daemon.kmux("daemon", "stop")
    assert has_ended(status["pid"])
    assert daemon.kmux("daemon", "stop") == "no daemon runs\n"


def test_kernels_outlive_it(daemon: Daemon) -> None:
    made = daemon.json("new", "kept")
    client = daemon.attach(made["connection_file"])
    client.run("x = 'kept'")
    said = daemon.kmux("daemon", "restart")
    assert said.startswith(f"process {daemon.pid}, with 1 sessions, on ")
    client.attach()  # it is connected again: with all channels, of which each takes its time
    client.run("print(x)")
    assert client.text() == "kept\n"
    daemon.kmux("daemon", "stop")
    assert not has_ended(made["pid"])
    assert [session["pid"] for session in daemon.json("ps")] == [made["pid"]], "it is started anew"
    os.kill(daemon.pid, signal.SIGKILL)
    assert daemon.json("clients", "kept") is not None, "it is started by any command that needs it"
    client.attach()
    client.run("print(x)")
    assert client.text() == "kept\n"


def test_a_session_that_it_cannot_go_on_with(daemon: Daemon) -> None:
    daemon.kmux("new", "whole")
    daemon.kmux("daemon", "stop")
    broken = daemon.workplace.root / "data" / "sessions" / "broken"
    broken.mkdir()
    (broken / "session.json").write_text('{"name": "bro')
    listed = daemon.workplace.kmux("ps")
    assert listed.stdout.splitlines()[1].startswith("whole\tpython3\t")
    assert listed.stderr.startswith(f"not gone on with: {broken}/session.json is damaged (")
    assert len(listed.stderr.splitlines()) == 1
    assert list(daemon.json("daemon", "status")["broken"]) == [str(broken)]
    assert f"broken    {broken}: " in daemon.kmux("daemon", "status")


AS_ANOTHER_USER = """
import importlib, os, pkgutil, sys
from proxy import cli, daemon
for package in (cli, daemon):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
from proxy.cli.main import main
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
main()
"""
"""Nobody may not be able to read what is imported. Who is not root is another user than root."""


def as_another_user(workplace: Workplace, command: str, **environment: str) -> str:
    """Run a command with what belongs to root, as somebody else. Returns the line that it says."""
    script = ("-W", "ignore", "-c", AS_ANOTHER_USER, *command.split())
    result = workplace.run_python(sys.executable, *script, **environment)
    assert result.returncode == 2, (result.stdout, result.stderr)
    (said,) = result.stderr.splitlines()
    return said.removeprefix("kmux: ")


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("ps", "KMUX_RUNTIME_DIR"),
        ("new", "KMUX_RUNTIME_DIR"),
        ("daemon serve", "KMUX_DATA_DIR"),
    ],
)
def test_what_is_another_users_is_refused(
    workplace: Workplace, command: str, variable: str
) -> None:
    theirs = "/usr/share"
    said = as_another_user(workplace, command, HOME="/nonexistent", **{variable: theirs})
    assert said == f"{theirs} belongs to another user; set {variable} to one of yours"
