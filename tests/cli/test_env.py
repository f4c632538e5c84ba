"""``kmux env``: what a user reads where something is wrong. It is one line, and says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments.made import make_environment, write_notebook
from tests.frontends.kmux_process import Workplace

# Root reads and writes where nobody may, unless it lets go of that.
_CAPABILITIES = "-dac_override,-dac_read_search"
OBEYING = (
    ("setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}")
    if os.getuid() == 0
    else ()
)
IN_ONE_PROCESS = """
import contextlib, io, json, sys
from proxy.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:], said = arguments, io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            print(json.dumps([end.code, said.getvalue()]))
"""
LISTS = {"uv": {"dependencies": ["six==1.16.0"]}}


def check_all(workplace: Workplace, expected: dict[tuple[str, ...], str]) -> None:
    """Check that these commands are refused with these lines. In one process: they are many."""
    commands = json.dumps([["env", *words] for words in expected])
    result = workplace.run_python(sys.executable, "-c", IN_ONE_PROCESS, commands)
    assert result.stderr == ""
    answers = map(json.loads, result.stdout.splitlines())
    for (code, said), line in zip(answers, expected.values(), strict=True):
        assert (code, said) == (2, f"{line}\n")


def refused(workplace: Workplace, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run kmux as one who may not do everything. Returns its exit status and the last line."""
    program, *rest = [*OBEYING, sys.executable, "-m", "proxy", "env", *arguments]
    result = workplace.run_python(program, *rest, **environment)
    *steps, last, end = result.stderr.split("\n")
    assert end == ""
    assert all(step == "solving" for step in steps), result.stderr
    assert result.stdout == ""
    return result.returncode, last


@pytest.fixture
def notebook(workplace: Workplace) -> Path:
    return write_notebook(workplace.root / "a.ipynb", runt=LISTS)


def test_notebooks_that_cannot_be_meant(workplace: Workplace) -> None:
    said: dict[str, Any] = {}

    def case(message: str, text: str = "", code: str = "", **metadata: Any) -> None:
        path = workplace.root / f"{len(said)}.ipynb"
        write_notebook(path, code, **metadata)
        if text:
            path.write_text(text)
        said[str(path)] = f"kmux: {path}{message}"

    case(" is no notebook", text="{")
    case(" is no notebook", text="[1]")
    uv = ": metadata.runt.uv"
    case(f"{uv} is to be a table with a list of dependencies", runt={"uv": ["six"]})
    wanted = 'is to be a list of texts, like ["numpy>=2"]'
    case(f"{uv}.dependencies {wanted}", runt={"uv": {"dependencies": "six"}})
    case(f"{uv}.dependencies {wanted}", runt={"uv": {"dependencies": [6]}})
    python = {"dependencies": ["six"], "requires-python": 3.12}
    case(f'{uv}.requires-python is to be a text, like ">=3.11"', runt={"uv": python})
    case(
        ': metadata.runt.conda.channels is to be a list of texts, like ["conda-forge"]',
        runt={"conda": {"dependencies": ["six"], "channels": "a"}},
    )
    case(
        f"{uv}.dependencies: 'six 1' is no requirement (Expected semicolon (after name with no "
        "version specifier) or end)",
        runt={"uv": {"dependencies": ["six 1"]}},
    )
    case(
        ": the '# /// script' block is no TOML: Invalid value (at line 1, column 16)",
        code="# /// script\n# dependencies = six\n# ///",
    )
    case(
        ": the notebook is in COBOL, and no kernel 'cobol' is installed; install a kernel for it, "
        "or choose one with --kernel",
        kernelspec={"name": "cobol", "language": "COBOL"},
    )
    check_all(workplace, {("explain", path): line for path, line in said.items()})


def test_what_is_typed_wrongly(workplace: Workplace) -> None:
    for key in ("abc1", "abc2"):
        make_environment(workplace.root / ".cache" / "kmux", key)
    path = str(workplace.root / "a.ipynb")
    check_all(
        workplace,
        {
            ("explain", "/nowhere/a.ipynb"): "kmux: there is no directory /nowhere",
            ("explain", f"{path}/b.ipynb"): f"kmux: there is no directory {path}",
            ("explain", str(workplace.root)): f"kmux: cannot read {workplace.root}: Is a directory",
            ("remove", "x"): "kmux: there is no environment 'x'; kmux env list shows them",
            ("remove", "abc1", "abc"): "kmux: 'abc' may be abc1 or abc2; give more of it",
            ("remove",): "kmux: Missing argument 'KEY...'. See: kmux env remove --help",
            (
                "prune",
                "--max-size",
                "much",
            ): "kmux: Invalid value for '--max-size': 'much' is no size; one is written like "
            "500MB, 20GB or 2GiB See: kmux env prune --help",
        },
    )
    ready = workplace.root / ".cache" / "kmux" / "environments" / "ready"
    assert {path.name for path in ready.iterdir()} == {"abc1", "abc2"}, "all or none"


def test_what_is_around_a_notebook(workplace: Workplace) -> None:
    directory = workplace.root / "project"
    directory.mkdir()
    path = write_notebook(directory / "a.ipynb")
    project = directory / "pyproject.toml"
    project.write_text("[project\n")
    assert refused(workplace, "explain", str(path)) == (
        2,
        f"kmux: {path}: {project} is no TOML: Expected ']' at the end of a table declaration (at "
        "line 1, column 9); mend it, or take it away",
    )
    project.chmod(0)
    why = f"cannot read {project}: Permission denied; make it readable, or take it away"
    assert refused(workplace, "explain", str(path)) == (2, f"kmux: {path}: {why}")
    directory.chmod(0)
    assert refused(workplace, "explain", str(path)) == (
        2,
        f"kmux: cannot read {path}: Permission denied",
    )
    directory.chmod(0o700)


def test_a_place_that_cannot_be_used(workplace: Workplace, notebook: Path) -> None:
    below = notebook / "cache"
    assert refused(workplace, "list", KMUX_CACHE_DIR=str(below)) == (
        2,
        f"kmux: cannot use the cache directory {below}: Not a directory; set KMUX_CACHE_DIR",
    )
    home = workplace.root / "home"
    home.mkdir(mode=0o500)
    place = home / ".cache" / "kmux"
    assert refused(workplace, "prepare", "--trust", str(notebook), HOME=str(home)) == (
        2,
        f"kmux: cannot use the cache directory {place}: Permission denied; set KMUX_CACHE_DIR",
    )
    cache = workplace.root / "cache"
    (cache / "environments").mkdir(parents=True)
    (cache / "environments").chmod(0o500)
    assert refused(workplace, "list", KMUX_CACHE_DIR=str(cache)) == (
        4,
        f"kmux: cannot write to {cache}/environments: Permission denied; see to it, or set "
        "KMUX_CACHE_DIR to another directory",
    )


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("#!/bin/sh\necho 'error: oh' >&2; exit 7", 6, "uv ended with status 7 and said oh; where"),
        (None, 2, "there is no uv; 'pip install uv' brings it"),
    ],
    ids=["fails", "none"],
)
def test_a_uv_that_is_broken(
    workplace: Workplace, notebook: Path, script: str | None, status: int, said: str
) -> None:
    """The one that is installed beside kmux is asked for by Python's package of that name."""
    program = workplace.root / "bin" / "uv"
    package = workplace.root / "python" / "uv"
    package.mkdir(parents=True)
    program.parent.mkdir()
    found = f"return {str(program)!r}" if script is not None else "raise FileNotFoundError"
    (package / "__init__.py").write_text(f"def find_uv_bin(): {found}\n")
    if script is not None:
        program.write_text(f"{script}\n")
        program.chmod(0o700)
    variables = {"PYTHONPATH": str(package.parent), "PATH": f"{program.parent}:/usr/bin:/bin"}
    result = refused(workplace, "prepare", "--trust", str(notebook), **variables)
    assert result[0] == status
    assert result[1].startswith(f"kmux: {said.format(uv=program)}")
    left = workplace.root / ".cache" / "kmux" / "environments" / "building"
    assert not left.exists() or not list(left.iterdir())


def test_without_a_network(workplace: Workplace, notebook: Path) -> None:
    empty = str(workplace.root / "uv")
    code, line = refused(
        *(workplace, "prepare", "--trust", str(notebook)), UV_CACHE_DIR=empty, UV_OFFLINE="1"
    )
    assert code == 6
    assert line.startswith("kmux: the package index cannot be reached (")
    assert line.endswith("); try again online")


def test_the_means_to_obey_are_there() -> None:
    """Else root would prove nothing above."""
    denied = subprocess.run([*OBEYING, "cat", "/proc/1/mem"], capture_output=True)
    assert denied.returncode != 0
