"""``kmux new``, and what ``kmux ps`` and ``kmux notebooks`` say of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Daemon

pytestmark = pytest.mark.timeout(120)


def test_a_kernel_for_a_notebook(daemon: Daemon) -> None:
    home = daemon.workplace.root
    (home / "course").mkdir()
    notebook = str(home / "course" / "week 1.ipynb")
    made = daemon.json(
        *("new", "--notebook", notebook, "--kernel", "python3", "--max-age", "12"),
        KMUX_RESTART="owner",
        COURSE="statistics",
        JPY_PARENT_PID="1",  # in a cell: !kmux new
    )
    assert (made["name"], made["kernel"], made["language"]) == ("week-1", "python3", "python")
    assert (made["clients"], made["daemon"]) == (0, True)
    client = daemon.attach(made["connection_file"])
    client.run("import os; print(os.getcwd(), *map(os.getenv, ['COURSE', 'JPY_PARENT_PID']))")
    assert client.text() == f"{home}/course statistics None\n"
    assert daemon.json("ps") == [{**made, "clients": 1, "status": "idle"}]
    assert daemon.json("notebooks") == [
        {
            "notebook": notebook,
            "kernel": "python3",
            "env_source": "kernelspec",
            "status": "idle",
            "peers": 1,
            "name": "week-1",
        }
    ]
    rows = [line.split("\t") for line in daemon.kmux("notebooks").splitlines()]
    assert rows == [
        ["NOTEBOOK", "KERNEL", "ENV SOURCE", "STATUS", "PEERS"],
        [notebook, "python3", "kernelspec", "idle", "1"],
    ]
    (file,) = (home / "data" / "sessions").glob("*/session.json")
    state = json.loads(file.read_text())
    assert state["restart"] == "owner", "the setting of who asks, not of the daemon's start"
    assert state["max_age_hours"] == 12
    assert file.stat().st_mode & 0o777 == 0o600
    assert Path(made["connection_file"]).stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_is_told_in_a_line(daemon: Daemon) -> None:
    daemon.workplace.kernelspec("gone", ["/nonexistent/python", "-f"], "python")
    assert "no kernel 'pyton3'" in daemon.refused("new", "--kernel", "pyton3")
    assert "'a b' is not a name" in daemon.refused("new", "a b")
    assert "does not exist" in daemon.refused("new", "--cwd", "/nonexistent")
    assert "kernel 'gone' did not start" in daemon.refused("new", "--kernel", "gone", status=3)
    assert daemon.json("ps") == []
    assert daemon.kmux("ps") == "No kernel runs. Start one with: kmux new\n"
    daemon.kmux("new", "mine", "--no-record")
    assert "'mine' runs already" in daemon.refused("new", "mine")
    assert "'mine' runs already" in daemon.refused("run", "--name", "mine")
