"""Real environments, by the real uv: what runs in them is asked what it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from proxy.environments import uv as uv_program
from proxy.environments.progress import Progress, tell_nobody
from proxy.environments.store import Environment, Store
from proxy.environments.uv_environments import UvNeed, own_python, prepare
from proxy.errors import ConfigError, EnvironmentFailed

pytestmark = pytest.mark.timeout(180)

ASK = """
import importlib.metadata as m, json, sys
print(json.dumps({"prefix": sys.prefix, "version": list(sys.version_info[:2]),
                  "packages": {d.name.lower(): d.version for d in m.distributions()}}))
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def asked(environment: Environment) -> dict[str, Any]:
    """Return what a Python in it says of itself."""
    run = subprocess.run(
        [environment.python, "-c", ASK], capture_output=True, text=True, check=True, timeout=60
    )
    said: dict[str, Any] = json.loads(run.stdout)
    return said


def make(store: Store, *requirements: str, **more: Any) -> Environment:
    need = UvNeed(requirements=requirements, **more)
    return trio.run(prepare, need, store, uv_program.find(), tell_nobody)


def test_it_has_what_was_asked_for_and_a_kernel(store: Store) -> None:
    seen: list[Progress] = []
    need = UvNeed(requirements=("six==1.16.0",))
    made = trio.run(prepare, need, store, uv_program.find(), seen.append)
    said = asked(made)
    assert said["prefix"] == str(made.prefix)
    assert said["version"] == list(sys.version_info[:2]), "kmux's own, where none is asked for"
    assert said["packages"]["six"] == "1.16.0"
    assert "ipykernel" in said["packages"]
    assert set(made.manifest.packages) >= {"six==1.16.0"}
    assert made.manifest.asked == ("six==1.16.0",)
    assert seen[0].stage == "solving"
    scripts = made.prefix / "bin" / "ipython"
    run = subprocess.run([scripts, "--version"], capture_output=True, check=True, timeout=60)
    assert run.stdout, "its programs have been renamed with it"


def test_equal_needs_share_one_and_others_do_not(store: Store) -> None:
    first = make(store, "six==1.16.0", "idna==3.10")
    inode = (first.prefix / "kmux.json").stat().st_ino
    same = make(store, "idna==3.10", "six==1.16.0")
    assert (same.key, (same.prefix / "kmux.json").stat().st_ino) == (first.key, inode)
    resolved_alike = make(store, "six<1.17,>1.15", "idna==3.10")
    assert resolved_alike.key == first.key
    assert (make(store, "six==1.17.0", "idna==3.10")).key != first.key
    assert len(store.all()) == 2


def test_its_files_are_those_of_the_cache_of_uv(store: Store) -> None:
    made = make(store, "six==1.16.0")
    (module,) = made.prefix.glob("lib/python*/site-packages/six.py")
    assert module.stat().st_nlink > 1


def test_one_that_exists_needs_no_network(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(store, "six==1.16.0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert make(store, "six==1.16.0") == first
    with pytest.raises(EnvironmentFailed, match="the package index cannot be reached") as error:
        make(store, "six==1.17.0")
    assert "\n" not in str(error.value)
    assert store.all() == [first]


@pytest.mark.parametrize(
    ("requirements", "named"),
    [
        (("six>99",), "six>99"),
        (("six==1.16.0", "six==1.17.0"), "six==1.17.0"),
        (("kmux-surely-nobody-calls-a-package-so",), "kmux-surely-nobody-calls-a-package-so"),
    ],
)
def test_what_cannot_be_solved_is_named(
    store: Store, requirements: tuple[str, ...], named: str
) -> None:
    with pytest.raises(ConfigError, match=r"^uv: No solution found") as error:
        make(store, *requirements)
    assert named in str(error.value)
    assert store.all() == []


def test_a_script_says_it_itself(store: Store) -> None:
    more = '# [tool.uv]\n# constraint-dependencies = ["six<1.17"]\n'
    script = f'# /// script\n# dependencies = ["six"]\n{more}# ///'
    made = make(store, "six", script=script)
    assert asked(made)["packages"]["six"] == "1.16.0"


def test_a_path_is_relative_to_the_notebook(store: Store, tmp_path: Path) -> None:
    package = tmp_path / "notebooks" / "mine"
    package.mkdir(parents=True)
    (package / "mine.py").write_text("")
    (package / "pyproject.toml").write_text(
        "[project]\nname = 'mine'\nversion = '4.2'\ndescription = 'mine'\n"
        "[build-system]\nrequires = ['flit_core']\nbuild-backend = 'flit_core.buildapi'\n"
        "[tool.flit.module]\nname = 'mine'\n"
    )
    made = make(store, "./mine", directory=tmp_path / "notebooks")
    assert asked(made)["packages"]["mine"] == "4.2"


def test_which_python(store: Store) -> None:
    made = make(store, python=own_python())
    said = asked(made)
    assert said["version"] == list(sys.version_info[:2])
    here = ".".join(map(str, sys.version_info[:2]))
    assert asked(make(store, python=f">={here}, <4"))["version"] >= said["version"]


_MAKE = """
import sys, trio
from pathlib import Path
from proxy.environments import uv
from proxy.environments.store import Store
from proxy.environments.uv_environments import UvNeed, prepare
def tell(step):
    print(step.line, flush=True)
trio.run(prepare, UvNeed(requirements=("six==1.16.0",)), Store(Path(sys.argv[1])), uv.find(), tell)
"""


@pytest.mark.parametrize("stage", ["solving", "installing"])
def test_one_that_was_killed_at_it_leaves_nothing_that_is_used(
    store: Store, tmp_path: Path, stage: str
) -> None:
    environment = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "uv")}
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(stage):
                process.send_signal(signal.SIGKILL)
                break
    assert store.all() == []
    made = make(store, "six==1.16.0")
    assert asked(made)["packages"]["six"] == "1.16.0"
