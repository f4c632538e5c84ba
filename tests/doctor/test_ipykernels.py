"""What the environment of a Python kernel must have."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from proxy.doctor.ipykernels import TESTED, judge
from proxy.doctor.pythons import Answer

ROOT = Path(__file__).parents[2]


def test_what_is_said_to_be_tested_is_what_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = " ".join(project["dependency-groups"]["kernels"])
    lowest = re.search(r"ipykernel>=([0-9.]+)", wanted)
    used = re.search(r"^ipykernel==(\d+\.\d+)", (ROOT / "constraints.txt").read_text(), re.M)
    assert lowest is not None
    assert used is not None
    assert tuple(tuple(map(int, each[1].split("."))) for each in (lowest, used)) == TESTED


@pytest.mark.parametrize(
    ("version", "level", "what"),
    [
        ("7.4.0", "ok", "k: Python 3.12.1, ipykernel 7.4.0"),
        ("7.1.0a1", "ok", "k: Python 3.12.1, ipykernel 7.1.0a1"),
        ("7.99", "ok", "k: Python 3.12.1, ipykernel 7.99"),
        ("7.0.1", "warning", "k: ipykernel 7.0.1; kmux is tested with 7.1 to 7.4"),
        ("6.29.5", "warning", "k: ipykernel 6.29.5; kmux is tested with 7.1 to 7.4"),
        ("5.5.6", "error", "k: ipykernel 5.5.6 is too old to be shared"),
        ("8.0", "warning", "k: ipykernel 8.0 is newer than what kmux was tested with (7.4)"),
        ("strange", "error", "k: ipykernel strange is too old to be shared"),
    ],
)
def test_versions(version: str, level: str, what: str) -> None:
    found = judge("k", "/p", Answer(python="3.12.1", package=version))
    assert (found.level, found.what) == (level, what)


@pytest.mark.parametrize(
    ("answer", "level", "what", "advice"),
    [
        (
            Answer(failure="ModuleNotFoundError: No module named 'ipykernel'"),
            "error",
            "k: no ipykernel in its environment",
            "/p -m pip install ipykernel",
        ),
        (
            Answer(failure="ModuleNotFoundError: No module named 'zmq'"),
            "error",
            "k: ipykernel cannot be imported: ModuleNotFoundError: No module named 'zmq'",
            "/p -m pip install --force-reinstall ipykernel, or: jupyter kernelspec remove k",
        ),
        (
            Answer(package="7.4.0", has_widgets=False),
            "warning",
            "k: no ipywidgets in its environment: cells cannot make widgets",
            "/p -m pip install ipywidgets",
        ),
    ],
)
def test_what_is_missing(answer: Answer, level: str, what: str, advice: str) -> None:
    found = judge("k", "/p", answer)
    assert (found.level, found.what, found.advice) == (level, what, advice)
