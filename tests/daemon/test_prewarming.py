"""What waits for notebooks that ask for nothing: taken, handed over, made anew, given back."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.daemon.test_choosing import answer, write
from tests.frontends.kmux_process import Daemon, has_ended, until

pytestmark = pytest.mark.timeout(180)

ONE = {"KMUX_POOL_UV": "1"}
PATIENT = 120.0
ASK = """
import json, os, sys, ipywidgets
print(json.dumps({"prefix": sys.prefix, "cwd": os.getcwd(), "argv": sys.argv[1:],
                  "mine": os.environ.get("MINE"), "ipywidgets": ipywidgets.__version__}))
"""
USE = "import mine; print(mine.answer)"


def warm(daemon: Daemon) -> dict[str, Any]:
    """Have one environment that waits, with its kernel."""
    status = json.loads(daemon.kmux("pool", "warm", "--json", timeout=PATIENT, **ONE))
    (uv,) = [kind for kind in status if kind["kind"] == "uv"]
    assert (uv["ready"], uv["kernels"], uv["problem"]) == (1, 1, None)
    kind: dict[str, Any] = uv
    return kind


def new(daemon: Daemon, notebook: Path, **environment: str) -> dict[str, Any]:
    info: dict[str, Any] = daemon.json("new", "--notebook", str(notebook), **environment)
    assert info["env_source"] == "uv:prewarmed"
    return info


def environments(daemon: Daemon) -> set[str]:
    return {
        path.name for path in (daemon.workplace.root / ".cache/kmux/environments/ready").iterdir()
    }


def logged(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (daemon.workplace.root / "data/daemon.log").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def waiting_kernels(daemon: Daemon) -> list[psutil.Process]:
    def waits(process: psutil.Process) -> bool:
        try:
            return any("warm_main.py" in each for each in process.cmdline())
        except psutil.Error:  # it has just ended
            return False

    return [process for process in daemon.workplace.processes() if waits(process)]


def test_a_notebook_that_asks_for_nothing_gets_the_kernel_that_waits(daemon: Daemon) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    warm(daemon)
    (key,) = environments(daemon)
    info = new(daemon, notebook, MINE="yes")
    assert logged(daemon, "kernel.started_fresh") == []
    assert info["environment"] == key
    said = json.loads(answer(daemon.attach(info["connection_file"]), ASK))
    assert Path(said["prefix"]).name == key
    assert said["cwd"] == str(notebook.parent)
    assert said["argv"] == ["-f", str(session_directory(daemon) / "connection.json")]
    assert said["mine"] == "yes"

    warm(daemon)
    assert len(environments(daemon)) == 2, "another one has taken its place"
    other = new(daemon, write(daemon.workplace.root / "b.ipynb"), LC_ALL="POSIX")
    (fresh,) = logged(daemon, "kernel.started_fresh")
    assert "LC_ALL" in fresh["why"], "it is read when Python starts"
    assert (
        answer(daemon.attach(other["connection_file"]), "import os; print(os.environ['LC_ALL'])")
        == "POSIX"
    )

    daemon.kmux("stop", "a", "b")
    until(
        lambda: not {key, other["environment"]} & environments(daemon),
        "nothing was installed into them",
    )


def session_directory(daemon: Daemon) -> Path:
    (file,) = (daemon.workplace.root / "data" / "sessions").glob("*/session.json")
    return file.parent


def test_who_installs_something_finds_it_again_over_restarts_and_stops(daemon: Daemon) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    info = new(daemon, notebook)
    client = daemon.attach(info["connection_file"])
    where = "import sys, pathlib, ipykernel\nprint(pathlib.Path(ipykernel.__file__).parents[1])"
    site_packages = Path(answer(client, where))
    (site_packages / "mine.py").write_text("answer = 42")  # as pip does
    daemon.kmux("restart", "a")
    assert answer(client, USE) == "42"
    daemon.kmux("stop", "a")
    again = new(daemon, notebook)
    assert again["environment"] == info["environment"]
    assert answer(daemon.attach(again["connection_file"]), USE) == "42"


@pytest.mark.thorough
def test_a_session_that_fails_before_it_has_its_kernel_leaves_none(daemon: Daemon) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    warm(daemon)
    kernels = waiting_kernels(daemon)
    assert kernels
    runtime = daemon.workplace.root / "runtime"
    shutil.rmtree(runtime)
    runtime.write_text("no connection file can be written here")
    assert "cannot write the connection file" in daemon.refused("new", "--notebook", str(notebook))
    until(lambda: all(has_ended(each.pid) for each in kernels), "it was asked to begin, and ended")


def test_a_daemon_that_is_killed_leaves_no_kernel_and_the_next_one_goes_on(daemon: Daemon) -> None:
    warm(daemon)
    (key,) = environments(daemon)
    kernels = waiting_kernels(daemon)
    assert kernels
    os.kill(daemon.pid, signal.SIGKILL)
    until(lambda: all(has_ended(each.pid) for each in kernels), "nobody waits any more")
    warm(daemon)
    assert environments(daemon) == {key}
    sessions = daemon.workplace.root / "data" / "sessions"
    assert len(list(sessions.iterdir())) == 1, "what the killed one had there is gone"
    daemon.kmux("pool", "flush")
    until(lambda: key not in environments(daemon), "it was thrown away")
