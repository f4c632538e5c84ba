"""A frontend whose kernel's environment is yet to be made: what it is told, and that it waits.

The environment has a package whose build takes as long as the test wants.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.daemon.test_choosing import write
from tests.frontends.kmux_process import BIN, Client, Daemon, Workplace, has_ended, until
from tests.frontends.slow_package import SlowPackage

IN_DAEMON = {"KMUX_DAEMON_EXECUTION": "true"}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def slow(workplace: Workplace) -> SlowPackage:
    return SlowPackage(workplace.root / "slow")


@pytest.fixture
def notebook(workplace: Workplace, slow: SlowPackage) -> Path:
    """One that asks for the package, and that Jupyter trusts."""
    notebook = workplace.root / "a.ipynb"
    write(notebook, runt={"uv": {"dependencies": [slow.requirement]}})
    workplace.run_python(BIN / "jupyter", "trust", str(notebook))
    return notebook


@contextmanager
def frontend(daemon: Daemon, notebook: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A program on jupyter_client that starts the kernel "The notebook's own environment"."""
    environment = daemon.workplace.environment
    daemon.kmux(
        "kernelspec", "install", "--kernel", "auto", "--prefix", str(notebook.parent), **IN_DAEMON
    )
    kernels = notebook.parent / "share" / "jupyter"
    for name, value in {**environment, **IN_DAEMON, "JUPYTER_PATH": str(kernels)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))  # as jupyter_server sets it
    manager = KernelManager(kernel_name="auto-shared")
    manager.start_kernel()
    client = Client(connection_file=manager.connection_file)
    client.load_connection_file()
    client.start_channels()
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_it_hears_what_is_done_and_its_cell_runs_when_that_is_done(
    daemon: Daemon, notebook: Path, slow: SlowPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with frontend(daemon, notebook, monkeypatch) as client:
        until(slow.is_being_built, "the build has begun", 30)
        # jupyter_client's wait_for_ready gives up after a minute (nbclient's startup_timeout).
        info = client.reply(client.kernel_info())["content"]
        assert info["implementation"] == "kmux"
        assert info["language_info"]["name"] == "python"
        cell = client.execute("import slow; slow.answer")
        said = client.hear_stream(cell)
        assert "building slow" in said
        (listed,) = daemon.json("ps")
        assert listed["status"] == "starting"
        assert "building slow" in listed["preparing"]
        slow.may_go_on()
        heard = client.until_idle(cell, timeout=60)
        shown = [m["msg_type"] for m in heard if m["msg_type"] != "stream"]
        assert shown[:1] == ["clear_output"], "what kmux said is taken away before it runs"
        (result,) = [m for m in heard if m["msg_type"] == "execute_result"]
        assert result["content"]["data"]["text/plain"] == "42"
        info = client.reply(client.kernel_info())["content"]
        assert info["implementation"] == "ipython"


def test_who_wants_it_no_more_leaves_nothing_half_made(
    daemon: Daemon, notebook: Path, slow: SlowPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with frontend(daemon, notebook, monkeypatch):
        until(slow.is_being_built, "the build has begun", 30)
        daemon.kmux("stop", "a")
    environments = daemon.workplace.root / ".cache" / "kmux" / "environments"
    assert list((environments / "building").iterdir()) == []
    assert list((environments / "ready").iterdir()) == []
    building = [p for p in daemon.workplace.processes() if "backend" in " ".join(cmdline(p))]
    assert all(has_ended(process.pid) for process in building)


def cmdline(process: Any) -> list[str]:
    line: list[str] = process.cmdline()
    return line


def test_the_daemon_that_takes_over_makes_it_from_the_start(
    daemon: Daemon, notebook: Path, slow: SlowPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with frontend(daemon, notebook, monkeypatch) as client:
        until(slow.is_being_built, "the build has begun", 30)
        daemon.kmux("daemon", "restart")
        slow.may_go_on()
        cell = client.execute("import slow; slow.answer")
        heard = client.until_idle(cell, timeout=60)
        assert any(m["msg_type"] == "execute_result" for m in heard)
    assert json.loads(daemon.kmux("ps", "--json"))[0]["env_source"] == "uv:inline"
