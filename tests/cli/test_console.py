"""``kmux console``, as a person has it: a real terminal console, a line typed."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pexpect
import pytest

from tests.frontends.console import IN
from tests.frontends.kmux_process import DEADLINE, Daemon, until

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]


def test_it_joins(daemon: Daemon) -> None:
    client = daemon.attach(daemon.json("new", "analysis")["connection_file"])
    client.run("x = 40")
    console = pexpect.spawn(
        sys.executable,
        ["-m", "proxy", "console", "analysis", "--simple-prompt"],
        env={**daemon.workplace.environment, "TERM": "dumb"},
        encoding="utf-8",
        timeout=DEADLINE,
        dimensions=(50, 200),
    )
    try:
        console.expect(IN)
        console.sendline("y = x + 2")
        until(lambda: client.run("assert y == 42")["status"] == "ok", "the line has run")
        console.sendeof()
        console.expect("Do you really want to exit")
        console.sendline("y")
        console.expect(pexpect.EOF)
    finally:
        console.close(force=True)
    assert daemon.json("ps")[0]["status"] == "idle", "the kernel goes on"


def test_it_is_not_installed(daemon: Daemon) -> None:
    """Beside this interpreter there is nothing else, nor on the PATH."""
    daemon.kmux("new", "analysis")
    lonely = daemon.workplace.root / "lonely" / "python"
    lonely.parent.mkdir()
    lonely.symlink_to(os.path.realpath(sys.executable))
    result = daemon.workplace.run_python(
        lonely,
        *("-m", "proxy", "console", "analysis"),
        PYTHONPATH=f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}",
        PATH=str(lonely.parent),
    )
    assert result.returncode == 2
    assert result.stderr == (
        "kmux: jupyter console is not installed; pip install jupyter_console\n"
    )
