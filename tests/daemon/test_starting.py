"""Whoever waits for a session that begins, and wants it no more."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Daemon, until
from tests.frontends.slow_package import SlowPackage
from tests.frontends.test_cold_start import notebook, slow  # noqa: F401 (fixtures)

pytestmark = pytest.mark.timeout(120)


def test_ctrl_c_while_its_environment_is_being_made_ends_it(
    daemon: Daemon,
    notebook: Path,  # noqa: F811
    slow: SlowPackage,  # noqa: F811
) -> None:
    asked = subprocess.Popen(
        [sys.executable, "-m", "proxy", "new", "--notebook", str(notebook)],
        env=daemon.workplace.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    until(slow.is_being_built, "the build has begun", 30)
    assert [session["name"] for session in daemon.json("ps")] == ["a"]
    asked.send_signal(signal.SIGINT)
    _, said = asked.communicate(timeout=10)
    assert asked.returncode != 0
    assert "Traceback" not in said
    until(lambda: daemon.json("ps") == [], "nobody wants it any more")
    ready = daemon.workplace.root / ".cache" / "kmux" / "environments" / "ready"
    assert list(ready.iterdir()) == []
