"""``kmux env prepare``, with the real uv, as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.environments.made import write_notebook
from tests.environments.uv_cache import uv_cache
from tests.frontends.kmux_process import DEADLINE, Workplace

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def notebook(workplace: Workplace) -> Path:
    workplace.environment["UV_CACHE_DIR"] = uv_cache()
    uv = {"dependencies": ["six==1.16.0"]}
    return write_notebook(workplace.root / "a.ipynb", runt={"uv": uv})


def test_it_is_made_once_and_is_on_the_list(workplace: Workplace, notebook: Path) -> None:
    made = workplace.kmux("env", "prepare", "--trust", str(notebook))
    assert made.returncode == 0, made.stderr
    assert made.stderr.splitlines()[0] == "solving"
    source, _, prefix = made.stdout.strip().partition(": ")
    assert source == "uv:inline"
    (listed,) = json.loads(workplace.kmux("env", "list", "--json").stdout)
    assert (listed["prefix"], listed["manager"]) == (prefix, "uv")
    assert listed["notebooks"] == [str(notebook)]
    assert listed["python"] == ".".join(map(str, sys.version_info[:3]))
    assert listed["own_bytes"] < listed["bytes"] / 10, "uv's cache has the rest"

    again = workplace.kmux("env", "prepare", "--trust", "--json", str(notebook), UV_OFFLINE="1")
    assert again.stderr == ""
    prepared = json.loads(again.stdout)
    assert (prepared["environment"], prepared["prefix"]) == (listed["key"], prefix)
    ask = "import six, ipykernel; print(six.__version__)"
    assert subprocess.check_output([prepared["python"], "-c", ask], text=True) == "1.16.0\n"


def test_nobody_can_be_asked(workplace: Workplace, notebook: Path) -> None:
    refused = workplace.kmux("env", "prepare", str(notebook))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"kmux: {notebook} asks to install six==1.16.0, and nobody ")
    assert refused.stderr.count("\n") == 1
    assert not (workplace.root / ".cache" / "kmux").exists()


def test_somebody_is_asked(workplace: Workplace, notebook: Path) -> None:
    write_notebook(notebook, runt={"uv": {"dependencies": ["six==99"]}})
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "proxy", "env", "prepare", str(notebook)],
        env={**workplace.environment, "TERM": "dumb"},
        encoding="utf-8",
        timeout=DEADLINE,
        dimensions=(50, 400),
    )
    try:
        terminal.expect_exact("[y/N]: ")
        terminal.sendline("y")
        terminal.expect_exact("kmux: uv: No solution found")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert terminal.exitstatus == 2


def test_where_there_is_nothing_to_make(workplace: Workplace) -> None:
    path = write_notebook(workplace.root / "b.ipynb", kernelspec={"name": "bash"})
    made = workplace.kmux("env", "prepare", str(path))
    assert (made.returncode, made.stdout) == (0, "kernelspec: there is nothing to make\n")
    assert not (workplace.root / ".cache" / "kmux").exists()
