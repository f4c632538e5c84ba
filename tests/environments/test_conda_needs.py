"""What conda is asked for: every way in which files say it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.environments.conda_needs import CondaNeed, need_of, platform_names
from proxy.environments.detection import Detection
from proxy.environments.projects import Project
from proxy.environments.requirements import for_conda
from proxy.errors import ConfigError

DEFAULT = ("default",)


def of_yaml(text: str) -> CondaNeed:
    project = Project(
        label="conda:env_yml", path=Path("/p/environment.yml"), said=yaml.safe_load(text)
    )
    return need_of(Detection(runtime="python", source="conda:env_yml", project=project), DEFAULT)


def of_pixi(text: str, path: Path = Path("/p/pixi.toml")) -> CondaNeed:
    project = Project(label="conda:pixi", path=path, said=tomllib.loads(text))
    return need_of(Detection(runtime="python", source="conda:pixi", project=project), DEFAULT)


@pytest.mark.parametrize(
    ("python", "specs"),
    [
        (None, ("numpy",)),
        ("3.12", ("numpy", "python 3.12.*")),
        ("3.12.*", ("numpy", "python 3.12.*")),
        (">=3.11,<3.13", ("numpy", "python >=3.11,<3.13")),
    ],
)
def test_a_notebooks_list(python: str | None, specs: tuple[str, ...]) -> None:
    detection = Detection(
        runtime="python",
        source="conda:inline",
        requirements=for_conda(["numpy"], "here"),
        python=python,
    )
    assert need_of(detection, DEFAULT) == CondaNeed(specs=specs, channels=DEFAULT)
    with_channels = Detection(runtime="python", source="conda:inline", channels=("a", "b"))
    assert need_of(with_channels, DEFAULT).channels == ("a", "b")


def test_an_environment_file() -> None:
    need = of_yaml(
        """
        name: it
        channels: [bioconda, conda-forge, nodefaults]
        dependencies:
          - python=3.11
          - numpy >=2
          - pip
          - pip: [rich, six==1.16]
        variables: {A: b, NUMBER: 1}
        """
    )
    assert need == CondaNeed(
        specs=("python=3.11", "numpy >=2", "pip"),
        channels=("bioconda", "conda-forge"),
        pip=("rich", "six==1.16"),
        variables={"A": "b", "NUMBER": "1"},
    )
    assert of_yaml("name: it") == CondaNeed(specs=(), channels=DEFAULT)
    assert of_yaml("channels: [nodefaults]").channels == DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dependencies: numpy", "dependencies is to be a list"),
        ("dependencies: [1.5]", "1.5 among the dependencies is no package"),
        ("dependencies: [{npm: [a]}]", "among the dependencies is no package"),
        ("dependencies: [{pip: a}]", "dependencies: pip is to be a list"),
        ("dependencies: [{pip: [1]}]", "dependencies: pip is to be a list of texts"),
        ("channels: conda-forge", "channels is to be a list"),
        ("variables: [a]", "variables are to be a table"),
    ],
)
def test_an_environment_file_that_cannot_be_meant(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"/p/environment.yml: .*{message}"):
        of_yaml(text)


def test_a_pixi_project() -> None:
    here = platform_names()[-1]
    need = of_pixi(
        f"""
        [workspace]
        channels = ["conda-forge", {{ channel = "file:///c", priority = 1 }}]
        platforms = ["linux-64"]
        [dependencies]
        python = "3.12.*"
        numpy = "*"
        scipy = {{ version = ">=1.10", build = "py*", channel = "other" }}
        [pypi-dependencies]
        rich = "*"
        six = "1.16"
        idna = ">=3"
        mine = {{ path = "mine", editable = true }}
        theirs = {{ path = "../theirs", extras = ["a"] }}
        from-git = {{ git = "https://example.org/it", rev = "abc" }}
        from-url = {{ url = "https://example.org/it.whl" }}
        extra = {{ version = ">=1", extras = ["a", "b"] }}
        [target.{here}.dependencies]
        only-here = "*"
        [target.win-64.dependencies]
        elsewhere = "*"
        """
    )
    assert need.channels == ("conda-forge", "file:///c")
    assert need.specs == (
        "python 3.12.*",
        "numpy",
        "other::scipy[version='>=1.10',build='py*']",
        "only-here",
    )
    assert need.pip == (
        "rich",
        "six==1.16",
        "idna>=3",
        "-e /p/mine",
        "theirs[a] @ file:///theirs",
        "from-git @ git+https://example.org/it@abc",
        "from-url @ https://example.org/it.whl",
        "extra[a,b]>=1",
    )


@pytest.mark.parametrize(
    ("default", "specs"),
    [
        ("", ("a",)),
        ('default = ["extra"]', ("a", "b")),
        ('default = { features = ["extra"] }', ("a", "b")),
        ('default = { features = ["extra"], no-default-feature = true }', ("b",)),
        ('other = ["extra"]', ("a",)),
    ],
)
def test_the_default_environment_counts(default: str, specs: tuple[str, ...]) -> None:
    need = of_pixi(
        "[workspace]\nchannels = []\n[dependencies]\na = '*'\n"
        f"[feature.extra.dependencies]\nb = '*'\n[environments]\n{default}\n"
    )
    assert need.specs == specs


def test_pixi_in_a_pyproject() -> None:
    need = of_pixi(
        """
        [project]
        name = "it"
        requires-python = ">=3.11"
        dependencies = ["rich>=14"]
        [tool.pixi.project]
        channels = ["conda-forge"]
        [tool.pixi.dependencies]
        numpy = ">=2"
        """,
        Path("/p/pyproject.toml"),
    )
    assert need == CondaNeed(
        specs=("python >=3.11", "numpy >=2"), channels=("conda-forge",), pip=("rich>=14",)
    )


def test_its_lock_counts(tmp_path: Path) -> None:
    text = "[workspace]\nchannels = ['c']\n[dependencies]\na = '*'\n"
    path = tmp_path / "pixi.toml"
    without = of_pixi(text, path)
    assert without.lock is None
    (tmp_path / "pixi.lock").write_text("version: 6\n")
    with_lock = of_pixi(text, path)
    assert with_lock.lock == tmp_path / "pixi.lock"
    assert with_lock.key != without.key
    (tmp_path / "pixi.lock").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="'pixi lock' makes it anew"):
        of_pixi(text, path)


@pytest.mark.parametrize("spec", ["1", "{ git = 'x' }", "[]"])
def test_what_only_pixi_can_do_is_said(spec: str) -> None:
    with pytest.raises(ConfigError, match="a is asked for in a way that only pixi itself can do"):
        of_pixi(f"[dependencies]\na = {spec}\n")


@pytest.mark.parametrize(
    "change",
    [
        {"specs": ("b",)},
        {"channels": ("d",)},
        {"pip": ("six",)},
        {"variables": {"A": "b"}},
        {"lock_text": "version: 6"},
    ],
)
def test_another_need_has_another_key(change: dict[str, Any]) -> None:
    need = {"specs": ("a",), "channels": ("c",)}
    assert CondaNeed(**need).key == CondaNeed(**need).key  # type: ignore[arg-type]
    assert CondaNeed(**{**need, **change}).key != CondaNeed(**need).key  # type: ignore[arg-type]
