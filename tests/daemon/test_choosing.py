"""A notebook chooses its kernel: seen by who starts it, by who asks the kernel where it runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.frontends.kmux_process import BIN, Client, Daemon

pytestmark = pytest.mark.timeout(180)

WHERE = "import sys, six; print(sys.prefix, six.__version__)"
PATIENT = 60.0


def write(notebook: Path, code: str = "", **metadata: Any) -> Path:
    tree = {
        "cells": [
            {
                "cell_type": "code",
                "source": code,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}, **metadata},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    notebook.write_text(json.dumps(tree))
    return notebook


def wants(notebook: Path, *dependencies: str) -> Path:
    return write(notebook, runt={"uv": {"dependencies": list(dependencies)}})


def trust(daemon: Daemon, notebook: Path) -> None:
    """Have Jupyter trust it, as JupyterLab does what is saved there."""
    daemon.workplace.run_python(BIN / "jupyter", "trust", str(notebook))


def answer(client: Client, code: str) -> str:
    return client.hear_stream(client.execute(code)).strip()


def test_a_notebook_has_what_it_lists_and_the_same_again_after_a_restart_and_another_daemon(
    daemon: Daemon,
) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    new = daemon.json("new", "--notebook", str(notebook), "--trust")
    assert (new["kernel"], new["env_source"], new["language"]) == ("python3", "uv:inline", "python")
    client = daemon.attach(new["connection_file"])
    prefix, version = answer(client, WHERE).split()
    assert version == "1.16.0"
    assert Path(prefix).name == new["environment"]
    assert Path(prefix).is_relative_to(daemon.workplace.root / ".cache")
    daemon.kmux("daemon", "restart")
    assert answer(client, WHERE).split() == [prefix, version]
    trust(daemon, wants(notebook, "six==1.17.0"))
    daemon.kmux("restart", "a")
    again, version = answer(client, WHERE).split()
    assert version == "1.17.0", "who edits what a notebook lists restarts its kernel to have it"
    assert again != prefix
    (listed,) = daemon.json("ps")
    assert Path(again).name == listed["environment"]
    record = daemon.workplace.record("a").record
    assert record.environment_source == "uv:inline"


def test_what_is_done_is_told_and_a_frontend_sees_it_in_its_cell(daemon: Daemon) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    asked = daemon.workplace.kmux(*("new", "--notebook", str(notebook), "--trust"), timeout=PATIENT)
    assert asked.returncode == 0, asked.stderr
    steps = asked.stderr.splitlines()
    assert steps[0] == "solving"
    assert any(step.startswith("installing") for step in steps)
    assert "environment      uv:inline" in asked.stdout


def test_unsolvable_is_one_line_and_nothing_is_left(daemon: Daemon) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==99")
    asked = daemon.workplace.kmux(*("new", "--notebook", str(notebook), "--trust"))
    assert asked.returncode == 2
    *_, last = asked.stderr.splitlines()
    assert last.startswith("kmux: uv:")
    assert "six==99" in last
    assert daemon.json("ps") == []


def test_a_restart_for_what_cannot_be_had_says_why_and_another_one_mends_it(
    daemon: Daemon,
) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    new = daemon.json("new", "--notebook", str(notebook), "--trust")
    trust(daemon, wants(notebook, "six==99"))
    assert "no version of six==99" in daemon.refused("restart", "a", status=3)
    (listed,) = daemon.json("ps")
    assert listed["status"] == "dead"
    assert "no version of six==99" in listed["problem"]
    wants(notebook, "six==1.16.0")
    daemon.kmux("restart", "a")
    client = daemon.attach(new["connection_file"])
    assert answer(client, WHERE).split()[1] == "1.16.0"


def test_another_kernelspec_is_used_as_it_is_and_deno_is_found(daemon: Daemon) -> None:
    kernels = daemon.workplace.root / "jupyter" / "kernels"
    notebook = daemon.workplace.root / "b.ipynb"
    write(notebook, kernelspec={"name": "bash", "display_name": "B"})
    new = daemon.json("new", "--notebook", str(notebook))
    assert (new["kernel"], new["env_source"]) == ("bash", "kernelspec")
    shutil.rmtree(kernels / "deno")
    write(notebook, kernelspec={"name": "deno", "display_name": "D"})
    new = daemon.json("new", "d", "--notebook", str(notebook))
    assert (new["kernel"], new["env_source"]) == ("deno", "deno")
    client = daemon.attach(new["connection_file"])
    assert answer(client, "console.log(1 + 1)") == "2"


def test_nobody_installs_what_a_stranger_lists_unless_somebody_stands_for_it(
    daemon: Daemon,
) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    said = daemon.refused("new", "--notebook", str(notebook))
    assert "six==1.16.0" in said
    assert "--trust" in said
    assert daemon.json("ps") == []
    trust(daemon, notebook)
    assert daemon.json("new", "--notebook", str(notebook))["env_source"] == "uv:inline"
    wants(notebook, "six==1.17.0")
    assert "six==1.17.0" in daemon.refused("restart", "a", status=3)


def test_deno_may_do_no_more_than_its_notebook_says(daemon: Daemon) -> None:
    notebook = daemon.workplace.root / "d.ipynb"
    deno = {"name": "deno", "display_name": "D"}
    write(notebook, kernelspec=deno, runt={"deno": {"permissions": ["--allow-env"]}})
    client = daemon.attach(daemon.json("new", "--notebook", str(notebook))["connection_file"])
    assert answer(client, "console.log(typeof Deno.env.get('HOME'))") == "string"
    read = f"try {{ Deno.readTextFileSync('{notebook}') }} catch (e) {{ console.log(e.name) }}"
    assert answer(client, read) == "NotCapable"
    daemon.kmux("restart", "d")
    assert answer(client, read) == "NotCapable"
    write(notebook, kernelspec=deno, runt={"deno": {"permissions": ["--allow-net=a.org"]}})
    assert "a part of a permission" in daemon.refused("new", "--notebook", str(notebook))
