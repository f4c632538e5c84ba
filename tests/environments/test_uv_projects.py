"""A project's own environment, with a kernel laid over it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import trio

from proxy.environments import uv as uv_program
from proxy.environments.progress import tell_nobody
from proxy.environments.store import Store
from proxy.environments.uv_projects import ProjectEnvironment, synchronise
from proxy.errors import ConfigError

pytestmark = pytest.mark.timeout(180)

PYPROJECT = """\
[project]
name = "it"
version = "1"
requires-python = ">=3.11"
dependencies = ["six==1.16.0", "traitlets==5.14.0"{more}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "pyproject.toml").write_text(PYPROJECT.format(more=""))
    return directory


def sync(project: Path, tmp_path: Path) -> ProjectEnvironment:
    store = Store(tmp_path / "cache")
    return trio.run(synchronise, project, store, uv_program.find(), tell_nobody)


def test_it_is_the_projects_own_and_its_lock_knows_of_no_kernel(
    project: Path, tmp_path: Path
) -> None:
    found = sync(project, tmp_path)
    assert found.prefix == project / ".venv"
    assert found.overlay is not None
    lock = (project / "uv.lock").read_text()
    assert "six" in lock
    assert "ipykernel" not in lock
    assert not list(found.prefix.glob("lib/python*/site-packages/ipykernel"))


def test_what_is_laid_over_it_suits_what_it_has(project: Path, tmp_path: Path) -> None:
    found = sync(project, tmp_path)
    assert found.overlay is not None
    assert "traitlets==5.14.0" in found.overlay.manifest.packages
    again = sync(project, tmp_path)
    assert again == found


def test_a_project_that_has_a_kernel_needs_no_other(project: Path, tmp_path: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT.format(more=', "ipykernel"'))
    found = sync(project, tmp_path)
    assert found.overlay is None
    said = subprocess.run(
        [found.python, "-c", "import ipykernel, json, sys; print(json.dumps(sys.prefix))"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(said.stdout) == str(project / ".venv")


def test_what_somebody_put_there_stays(project: Path, tmp_path: Path) -> None:
    found = sync(project, tmp_path)
    (site,) = found.prefix.glob("lib/python*/site-packages")
    (site / "mine.py").write_text("")
    sync(project, tmp_path)
    assert (site / "mine.py").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PYPROJECT.format(more=', "six>99"'), "No solution found"),
        ("[project]\nname = 'it'\n", "uv: "),
    ],
)
def test_what_is_wrong_with_it_is_one_line(
    project: Path, tmp_path: Path, text: str, message: str
) -> None:
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        sync(project, tmp_path)
    assert "\n" not in str(error.value)
