"""The project that a notebook belongs to: the closest file above it that says what is needed.

Files are read here and judged; what is in the directories comes in, so that the rule can be tried
on any tree of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from proxy.errors import ConfigError

PYPROJECT = "pyproject.toml"
PIXI = "pixi.toml"
ENVIRONMENT = ("environment.yml", "environment.yaml")
NAMES = (PYPROJECT, PIXI, *ENVIRONMENT)
"""In the order in which they count where one directory has several."""
REPOSITORY = ".git"
MAX_BYTES = 4 * 1024 * 1024

Label = Literal["uv:pyproject", "conda:pixi", "conda:env_yml"]


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A directory on the way up from a notebook."""

    directory: Path
    files: dict[str, bytes | str] = {}
    """What is in those of :data:`NAMES` that are there; a text says why that cannot be read."""
    problem: str = ""
    """Why it is not known what is there."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project file that says what a kernel needs."""

    label: Label
    path: Path
    said: dict[str, Any]
    """What is in it."""

    @property
    def directory(self) -> Path:
        """Where the project is."""
        return self.path.parent


class Passed(msgspec.Struct, frozen=True):
    """A file that is there and does not count, or a directory that could not be looked into."""

    path: Path
    why: str


def levels_above(directory: Path, home: Path) -> Iterator[Level]:
    """Look at directories from this one upwards. The last is home, or one that holds ``.git``."""
    ends = {home, home.resolve()}
    for each in (directory, *directory.parents):
        files: dict[str, bytes | str] = {}
        problem, is_repository = "", False
        try:
            present = [name for name in NAMES if (each / name).is_file()]
            is_repository = (each / REPOSITORY).exists()
        except OSError as error:
            problem, present = _reason(error), []
        for name in present:
            files[name] = _content(each / name)
        yield Level(directory=each, files=files, problem=problem)
        if is_repository or each in ends:
            return


def closest(levels: Iterable[Level]) -> tuple[Project | None, list[Passed]]:
    """Find the project of a notebook, and what was passed over on the way to it.

    Raises :class:`ConfigError` where the file that counts cannot be read.
    """
    passed: list[Passed] = []
    for level in levels:
        if level.problem:
            passed.append(Passed(level.directory, level.problem))
        for name, content in level.files.items():
            path = level.directory / name
            if isinstance(content, str):
                raise ConfigError(
                    f"cannot read {path}: {content}; make it readable, or take it away"
                )
            found = _project(path, content)
            if isinstance(found, Project):
                return found, passed
            passed.append(found)
    return None, passed


def _project(path: Path, content: bytes) -> Project | Passed:
    if path.name in ENVIRONMENT:
        return Project(label="conda:env_yml", path=path, said=_yaml(path, content))
    said = _toml(path, content)
    if path.name == PIXI:
        return Project(label="conda:pixi", path=path, said=said)
    tools = said.get("tool")
    tools = tools if isinstance(tools, dict) else {}
    if isinstance(tools.get("pixi"), dict):  # uv could not know what pixi's tables ask for
        return Project(label="conda:pixi", path=path, said=said)
    uv = tools.get("uv")
    if "project" not in said and not (isinstance(uv, dict) and "workspace" in uv):
        return Passed(path, "it has no [project] table: settings of tools, but no project")
    return Project(label="uv:pyproject", path=path, said=said)


def _toml(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is no TOML: {_line(error)}; mend it, or take it away") from None


def _yaml(path: Path, content: bytes) -> dict[str, Any]:
    import yaml  # 20 ms, and most notebooks have no such file

    try:
        said = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path} is no YAML: {_line(error)}; mend it, or take it away") from None
    if said is None:
        return {}
    if not isinstance(said, dict):
        raise ConfigError(f"{path} is to have a list of dependencies; mend it, or take it away")
    return said


def _content(path: Path) -> bytes | str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return _reason(error)
    return content if len(content) <= MAX_BYTES else "it is larger than a project file can be"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
