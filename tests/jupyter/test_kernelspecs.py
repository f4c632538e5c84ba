"""``kmux kernelspec``: shared kernels in every frontend's list."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Daemon, Workplace


def prefix(workplace: Workplace) -> Path:
    """Where ``workplace`` looks for kernelspecs, as a prefix."""
    (workplace.root / "share").mkdir()
    (workplace.root / "share" / "jupyter").symlink_to(workplace.root / "jupyter")
    return workplace.root


@pytest.mark.parametrize(("in_daemon", "runs"), [("true", "shim"), ("false", "run")])
def test_install_list_remove(workplace: Workplace, in_daemon: str, runs: str) -> None:
    into = ["--prefix", str(prefix(workplace))]
    installed = workplace.kmux(
        "kernelspec",
        "install",
        "--kernel",
        "python3",
        *into,
        KMUX_DAEMON_EXECUTION=in_daemon,
    )
    assert installed.stdout.startswith("python3-shared installed in ")
    spec = json.loads((workplace.root / "jupyter/kernels/python3-shared/kernel.json").read_text())
    assert spec["display_name"] == "Python 3 (shared)"
    assert spec["interrupt_mode"] == "message"
    assert spec["language"] == "python"
    command = [runs, "--kernel", "python3", "-f", "{connection_file}"]
    assert spec["argv"] == [sys.executable, "-P", "-m", "proxy", *command]
    assert "python3-shared\t" in workplace.kmux("kernelspec", "list").stdout
    again = workplace.kmux("kernelspec", "install", "--kernel", "python3", *into)
    assert again.returncode == 0, "installing twice is no error"
    assert workplace.kmux("kernelspec", "remove", "python3").returncode == 0
    assert "None is installed" in workplace.kmux("kernelspec", "list").stdout
    assert not (workplace.root / "jupyter/kernels/python3-shared").exists()


def test_a_session_can_be_chosen_too(daemon: Daemon, workplace: Workplace) -> None:
    daemon.kmux("new", "Analysis-1", "--kernel", "deno")
    into = ["--prefix", str(prefix(workplace))]
    said = daemon.kmux("kernelspec", "install", "--attach", "Analysis-1", *into)
    assert said.startswith("shared-Analysis-1 installed in ")
    directory = workplace.root / "jupyter/kernels/shared-Analysis-1"
    spec = json.loads((directory / "kernel.json").read_text())
    command = ["shim", "--attach", "Analysis-1", "-f", "{connection_file}"]
    assert spec["argv"] == [sys.executable, "-P", "-m", "proxy", *command]
    assert (spec["display_name"], spec["language"]) == ("Shared: Analysis-1", "typescript")
    assert spec["metadata"]["kmux"] == {"session": "Analysis-1"}
    assert "shared-Analysis-1\t" in daemon.kmux("kernelspec", "list")
    daemon.kmux("kernelspec", "remove", "Analysis-1")
    assert not directory.exists()
    refused = daemon.refused("kernelspec", "install", "--attach", "nothing", *into)
    assert refused.startswith("no session 'nothing' runs")
    both = daemon.refused("kernelspec", "install", "--attach", "x", "--kernel", "deno")
    assert both.startswith("--kernel and --attach exclude each other")


def test_one_that_ends_with_its_terminal_is_no_choice(daemon: Daemon, workplace: Workplace) -> None:
    with workplace.run("--name", "short") as kmux:
        assert kmux.file
        refused = daemon.refused("kernelspec", "install", "--attach", "short")
    assert refused.startswith("short runs in a terminal (kmux run)")


def test_by_default_it_is_for_the_user(workplace: Workplace) -> None:
    assert workplace.kmux("kernelspec", "install", "--kernel", "deno").returncode == 0
    user = workplace.root / ".local/share/jupyter/kernels/deno-shared/kernel.json"
    assert json.loads(user.read_text())["display_name"] == "deno (shared)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["install", "--kernel", "pyton3"], "no kernel 'pyton3'; installed: "),
        (["install", "--user", "--sys-prefix"], "exclude each other"),
        (["install", "--prefix", "/proc/nowhere"], "cannot write"),
        (["remove", "nothing"], "no shared kernelspec 'nothing'"),
    ],
)
def test_bad_input_is_one_line(workplace: Workplace, arguments: list[str], says: str) -> None:
    result = workplace.kmux("kernelspec", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_kernelspec_that_kmux_did_not_write_is_left_alone(workplace: Workplace) -> None:
    workplace.kernelspec("deno-shared", ["somebody-elses"], "typescript")
    result = workplace.kmux(
        "kernelspec", "install", "--kernel", "deno", "--prefix", str(prefix(workplace))
    )
    assert result.returncode == 2
    assert "kmux did not write" in result.stderr


def test_a_shared_kernelspec_does_not_start_itself(workplace: Workplace) -> None:
    """One of the real kernel's name, first in Jupyter's path: the suites of others are run so."""
    workplace.kernelspec("python3", ["unused"], "python", metadata={"kmux": {"kernel": "python3"}})
    with workplace.run("--kernel", "python3") as kmux:
        assert kmux.client().run("1")["status"] == "ok"
