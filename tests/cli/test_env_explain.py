"""``kmux env explain``, as a user sees it."""

from __future__ import annotations

import json

import pytest

from proxy import trust
from tests.environments.made import write_notebook
from tests.frontends.kmux_process import Workplace

SCRIPT = """\
# /// script
# dependencies = ["six"]
# [tool.uv]
# extra-index-url = ["https://example.org/simple"]
# ///
"""


def test_a_notebook_and_why(workplace: Workplace) -> None:
    path = write_notebook(workplace.root / "a.ipynb", SCRIPT, kernelspec={"name": "python3"})
    (workplace.root / "pyproject.toml").write_text("[tool.ruff]\n")
    asked = workplace.kmux("env", "explain", str(path))
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.splitlines() == [
        "kernel: Python",
        "  yes kernelspec name: 'python3' is Python",
        "environment: uv:pep723",
        "  no  uv:inline: the notebook has none",
        "  no  conda:inline: the notebook has none",
        "  yes uv:pep723: the '# /// script' block of the first code cell says so",
        "to be installed:",
        "  six",
        '  [tool.uv] extra-index-url = ["https://example.org/simple"]'
        "  (packages come from there too)",
        "  ipykernel (what a kernel needs)",
        "trust: Jupyter does not trust the notebook, so somebody has to agree (--trust)",
    ]


def test_for_scripts(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = {"dependencies": ["toy @ https://example.org/toy.whl"]}
    path = write_notebook(workplace.root / "a.ipynb", runt={"uv": uv})
    told = json.loads(workplace.kmux("env", "explain", "--json", str(path)).stdout)
    assert told["requirements"] == [
        {
            "text": "toy @ https://example.org/toy.whl",
            "name": "toy",
            "kind": "url",
            "note": "from a URL, not from the package index",
        }
    ]
    assert (told["env_source"], told["trusted"], len(told["fingerprint"])) == (
        "uv:inline",
        False,
        64,
    )
    data = str(workplace.root / "jupyter data")
    monkeypatch.setenv("JUPYTER_DATA_DIR", data)
    assert trust.trust(path.read_text())
    asked = workplace.kmux("env", "explain", "--json", str(path), JUPYTER_DATA_DIR=data)
    assert json.loads(asked.stdout)["trusted"] is True


def test_the_settings_are_those_in_force(workplace: Workplace) -> None:
    uv = {"dependencies": ["six"]}
    path = write_notebook(workplace.root / "a.ipynb", runt={"uv": uv})
    (workplace.root / "pyproject.toml").write_text("[project]\nname = 'it'\n")
    told = json.loads(
        workplace.kmux("env", "explain", "--json", str(path), KMUX_INLINE_FIRST="false").stdout
    )
    assert (told["env_source"], told["trusted"], told["fingerprint"]) == (
        "uv:pyproject",
        None,
        None,
    )
    assert told["project"] == str(workplace.root / "pyproject.toml")


def test_one_that_is_not_there_yet(workplace: Workplace) -> None:
    path = workplace.root / "new.ipynb"
    asked = workplace.kmux(
        *("env", "explain", str(path)),
        KMUX_DEFAULT_PYTHON_ENV="conda",
        KMUX_DEFAULT_PACKAGES="numpy pandas",
    )
    assert asked.stderr == f"{path} is not there yet; this is what it would get\n"
    lines = asked.stdout.splitlines()
    has = ["ipykernel", "ipywidgets", "pip", "numpy", "pandas"]
    assert lines[-6:] == ["it has:", *[f"  {each}" for each in has]]
    assert "environment: conda:prewarmed" in lines


def test_no_name_does_something_to_a_terminal(workplace: Workplace) -> None:
    directory = workplace.root / "\x1b[2J"
    directory.mkdir()
    (directory / "pyproject.toml").write_text("[tool.ruff]\n")
    path = write_notebook(directory / "a.ipynb")
    said = workplace.kmux("env", "explain", str(path)).stdout
    assert "\\x1b[2J/pyproject.toml: it has no [project] table" in said
    assert "\x1b" not in said
