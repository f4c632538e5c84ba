"""Which kernelspecs are real kernels'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.kernels import specs


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two directories of kernelspecs, the first one ahead in Jupyter's path."""
    directories = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(
        specs.RealKernelSpecManager,
        "_kernel_dirs_default",
        lambda self: [str(directory) for directory in directories],
    )
    return tmp_path


def install(directory: Path, name: str, **more: object) -> Path:
    kernelspec = directory / name
    kernelspec.mkdir(parents=True)
    spec = {"argv": ["x", "{connection_file}"], "display_name": directory.name, "language": "x"}
    (kernelspec / "kernel.json").write_text(json.dumps({**spec, **more}))
    return kernelspec


def test_the_first_directory_wins(kernels: Path) -> None:
    install(kernels / "first", "python3")
    install(kernels / "second", "python3")
    assert specs.find("python3").display_name == "first"
    assert specs.find("Python3").display_name == "first"


def test_one_that_runs_kmux_is_passed_over(kernels: Path) -> None:
    """It has the name of the real one, which is further down the path."""
    install(kernels / "first", "python3", metadata={"kmux": {"kernel": "python3"}})
    install(kernels / "second", "python3")
    assert specs.find("python3").display_name == "second"


@pytest.mark.parametrize("content", ["", "[]", '{"metadata": 3}', "{", '{"metadata": null}'])
def test_a_broken_one_is_passed_over(kernels: Path, content: str) -> None:
    (install(kernels / "first", "python3") / "kernel.json").write_text(content)
    install(kernels / "second", "python3")
    assert specs.find("python3").display_name == "second"


def test_the_nearest_names_are_said(kernels: Path) -> None:
    for name in ("python3", "pypy", "deno"):
        install(kernels / "first", name)
    with pytest.raises(ConfigError, match=r"no kernel 'pyton3'; installed: python3"):
        specs.find("pyton3")


def test_where_nothing_is_installed_it_is_said_what_to_install() -> None:
    with pytest.raises(ConfigError, match="pip install ipykernel"):
        specs.find("python3")
