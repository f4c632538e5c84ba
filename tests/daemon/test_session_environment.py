"""What becomes of an environment when its session ends, however far that came."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.daemon.test_choosing import answer, trust, wants, write
from tests.daemon.test_prewarming import environments, new, waiting_kernels, warm
from tests.frontends.kmux_process import Daemon, Workplace, has_ended, until

pytestmark = pytest.mark.timeout(180)


def test_a_name_that_is_taken_costs_no_environment(daemon: Daemon) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    warm(daemon)
    daemon.kmux("new", "taken", "--kernel", "bash")
    daemon.refused("new", "taken", "--notebook", str(notebook))
    kernels = waiting_kernels(daemon)
    assert kernels
    assert not any(has_ended(kernel.pid) for kernel in kernels)
    (key,) = environments(daemon)
    assert new(daemon, notebook)["environment"] == key


def test_a_notebook_that_wants_another_one_gives_the_first_one_back(daemon: Daemon) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    first = new(daemon, notebook)
    trust(daemon, wants(notebook, "six==1.16.0"))
    daemon.kmux("restart", "a")
    until(lambda: first["environment"] not in environments(daemon), "nobody has it any more")
    (listed,) = daemon.json("ps")
    assert listed["env_source"] == "uv:inline"
    notebook.unlink()
    assert "is not there any more" in daemon.refused("restart", "a", status=3)


def test_a_daemon_that_is_killed_while_it_hands_over_leaves_a_session_that_lives(
    daemon: Daemon,
) -> None:
    notebook = write(daemon.workplace.root / "a.ipynb")
    warm(daemon)
    pid = daemon.pid
    info = new(daemon, notebook)
    sessions = daemon.workplace.root / "data" / "sessions" / "*"
    (state,) = sessions.parent.glob("*/session.json")
    os.kill(pid, signal.SIGKILL)
    (state.parent / "prewarmed").touch()  # as it is until the kernel is the session's
    kernels = waiting_kernels(daemon)
    assert kernels
    client = daemon.attach(info["connection_file"], ready=False)
    (listed,) = daemon.json("ps")
    assert listed["status"] != "dead"
    client.reply(client.kernel_info(), 30)
    assert answer(client, "print(1)") == "1"
    assert all(has_ended(kernel.pid) for kernel in kernels), "nobody has that one any more"


def test_kmux_run_by_itself_keeps_its_environment_and_gives_it_back(workplace: Workplace) -> None:
    notebook = write(workplace.root / "a.ipynb")
    with workplace.run("--kernel", "auto", JPY_SESSION_NAME=str(notebook)) as kmux:
        until(lambda: kmux.ps()["status"] == "idle", "its environment was made", 30)
        client = kmux.client()
        where = "import sys; print(sys.prefix)"
        prefix = Path(answer(client, where))
        listed = kmux.ps()
        assert (listed["env_source"], listed["environment"]) == ("uv:prewarmed", prefix.name)
        refused = workplace.kmux("env", "remove", prefix.name)
        assert (refused.returncode, "is in use by a" in refused.stderr) == (2, True)
        workplace.kmux("restart", listed["name"])
        assert answer(client, where) == str(prefix)
    assert not prefix.exists()
