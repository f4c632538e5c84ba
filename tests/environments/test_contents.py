"""What counts as a change of an environment, by those who change one: the real installers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trio

from proxy.environments import uv
from proxy.environments.contents import contents_of
from proxy.environments.progress import tell_nobody
from proxy.environments.store import Environment, Store
from proxy.environments.uv_environments import UvNeed, prepare
from tests.environments.index import make_index

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    store = Store(tmp_path_factory.mktemp("store"))
    need = UvNeed(requirements=("six", "pip"), has_kernel=False)
    return trio.run(prepare, need, store, uv.find(), tell_nobody)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("index")
    make_index(directory)
    return str(next(directory.rglob("*.whl")))


def run(made: Environment, *arguments: str) -> None:
    subprocess.run([made.python, *arguments], check=True, capture_output=True, timeout=60)


def test_an_import_is_none(made: Environment) -> None:
    before = contents_of(made.prefix)
    # -E: also where a variable says that no bytecode is to be written.
    run(made, "-E", "-c", "import six, pip")
    (packages,) = made.prefix.glob("lib/python*/site-packages")
    assert (packages / "__pycache__").is_dir()
    assert contents_of(made.prefix) == before


def test_what_uv_and_pip_do_is_seen(made: Environment, wheel: str) -> None:
    def by_uv(*arguments: str) -> None:
        async def run() -> None:
            python = ("--python", str(made.python))
            await uv.find().run("pip", *arguments, *python, tell=tell_nobody)

        trio.run(run)

    seen = [contents_of(made.prefix)]
    by_uv("install", wheel)
    seen.append(contents_of(made.prefix))
    by_pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index")
    run(made, *by_pip, "--force-reinstall", wheel)  # the same version, and not what was there
    seen.append(contents_of(made.prefix))
    assert len(set(seen)) == 3
    by_uv("uninstall", "toy")
    assert contents_of(made.prefix) == seen[0], "nothing of it is left"


def test_what_conda_installs_is_seen(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    before = contents_of(tmp_path)
    (tmp_path / "conda-meta" / "r-base-4.4-0.json").write_text("{}")
    assert contents_of(tmp_path) != before


def test_where_nothing_is_nothing_is_found(tmp_path: Path) -> None:
    assert contents_of(tmp_path) == contents_of(tmp_path / "nowhere")
