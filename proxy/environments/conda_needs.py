"""What conda is asked for: by a notebook's list, by ``environment.yml``, by pixi's tables.

Only what can be read is read here. pixi's and conda's own rules hold: the default environment of a
pixi project, the tables for this platform, packages of PyPI beside those of the channels.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from proxy.environments.detection import Detection
from proxy.environments.projects import Project
from proxy.environments.uv_environments import hashed
from proxy.errors import ConfigError

FOR_KERNEL = ("ipykernel",)
LOCK = "pixi.lock"


class CondaNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is to have."""

    specs: tuple[str, ...]
    """Conda's match specifications."""
    channels: tuple[str, ...]
    pip: tuple[str, ...] = ()
    """What comes from PyPI, as uv writes it."""
    variables: dict[str, str] = {}
    """For the environment of its kernels."""
    lock: Path | None = None
    """pixi's lock, where there is one: then these very versions."""
    lock_text: str = ""

    @property
    def key(self) -> str:
        """The same for equal needs."""
        variables = [f"{name}={value}" for name, value in sorted(self.variables.items())]
        return hashed(
            "conda",
            *sorted(self.specs),
            "channels",
            *self.channels,
            "pip",
            *sorted(self.pip),
            *variables,
            self.lock_text,
            *FOR_KERNEL,
        )


def need_of(detection: Detection, channels: tuple[str, ...]) -> CondaNeed:
    """Return what a notebook needs. ``channels`` are for those that name none.

    Raises :class:`ConfigError` where what a file asks for cannot be meant.
    """
    if detection.project is None:
        specs = [each.text for each in detection.requirements]
        if detection.python:
            specs.append(_python(detection.python))
        return CondaNeed(specs=tuple(specs), channels=detection.channels or channels)
    if detection.source == "conda:env_yml":
        return _of_environment_file(detection.project, channels)
    return _of_pixi(detection.project, channels)


def _python(version: str) -> str:
    return (
        f"python {version}" if version[0] in "<>=!~" else f"python {version.removesuffix('.*')}.*"
    )


def _of_environment_file(project: Project, channels: tuple[str, ...]) -> CondaNeed:
    said, path = project.said, project.path
    specs: list[str] = []
    pip: list[str] = []
    for each in _list(said.get("dependencies"), path, "dependencies"):
        if isinstance(each, dict) and set(each) == {"pip"}:
            pip += _texts(each["pip"], path, "dependencies: pip")
        elif isinstance(each, str):
            specs.append(each)
        else:
            raise ConfigError(f"{path}: {each!r} among the dependencies is no package")
    named = [c for c in _texts(said.get("channels"), path, "channels") if c != "nodefaults"]
    variables = said.get("variables") or {}
    if not isinstance(variables, dict):
        raise ConfigError(f"{path}: variables are to be a table of names and values")
    return CondaNeed(
        specs=tuple(specs),
        channels=tuple(named) or channels,
        pip=tuple(pip),
        variables={str(name): str(value) for name, value in variables.items()},
    )


def _of_pixi(project: Project, channels: tuple[str, ...]) -> CondaNeed:
    path = project.path
    said: Mapping[str, Any] = project.said
    pip: list[str] = []
    specs: dict[str, str] = {}
    if path.name == "pyproject.toml":
        about = _table(said.get("project"))
        pip += _texts(about.get("dependencies"), path, "project.dependencies")
        if isinstance(about.get("requires-python"), str):
            specs["python"] = f"python {about['requires-python']}"
        said = _table(_table(said.get("tool")).get("pixi"))
    workspace = _table(said.get("workspace") or said.get("project"))
    named = _channels(workspace.get("channels"), path)
    for table in _tables(said):
        for name, spec in _table(table.get("dependencies")).items():
            specs[name] = _conda_spec(name, spec, path)
        for name, spec in _table(table.get("pypi-dependencies")).items():
            pip.append(_pypi_spec(name, spec, path))
        named += [each for each in _channels(table.get("channels"), path) if each not in named]
    lock = project.directory / LOCK
    try:
        lock_text = lock.read_text() if lock.is_file() else ""
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"cannot read {lock}; 'pixi lock' makes it anew") from None
    return CondaNeed(
        specs=tuple(specs.values()),
        channels=tuple(named) or channels,
        pip=tuple(pip),
        lock=lock if lock_text else None,
        lock_text=lock_text,
    )


def _tables(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return what makes up the default environment, for this platform."""
    environment = _table(said.get("environments")).get("default", [])
    features = environment
    with_default = True
    if isinstance(environment, dict):
        features = environment.get("features", [])
        with_default = not environment.get("no-default-feature", False)
    parts = [said] if with_default else []
    parts += [_table(_table(said.get("feature")).get(name)) for name in features]
    for part in parts:
        yield part
        for name in platform_names():
            yield _table(_table(part.get("target")).get(name))


def platform_names() -> tuple[str, ...]:
    """Return what pixi and conda call this platform, from the general to the special."""
    machine = {"x86_64": "64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    return ("unix", "linux", f"linux-{machine}") if sys.platform == "linux" else ("unix",)


def _conda_spec(name: str, spec: object, path: Path) -> str:
    if isinstance(spec, str):
        return name if spec in ("*", "") else f"{name} {spec}"
    if isinstance(spec, dict) and not {"git", "path", "url"} & set(spec):
        channel = f"{spec['channel']}::" if "channel" in spec else ""
        more = [f"{key}='{spec[key]}'" for key in ("version", "build", "subdir") if key in spec]
        return f"{channel}{name}[{','.join(more)}]" if more else f"{channel}{name}"
    raise ConfigError(f"{path}: {name} is asked for in a way that only pixi itself can do")


def _pypi_spec(name: str, spec: object, path: Path) -> str:
    if isinstance(spec, str):
        return name if spec in ("*", "") else f"{name}{spec if spec[0] in '<>=!~' else f'=={spec}'}"
    if not isinstance(spec, dict):
        raise ConfigError(f"{path}: {name} is asked for in a way that only pixi itself can do")
    extras = f"[{','.join(spec['extras'])}]" if spec.get("extras") else ""
    if "path" in spec:
        where = (path.parent / str(spec["path"])).resolve()
        return f"-e {where}" if spec.get("editable") else f"{name}{extras} @ {where.as_uri()}"
    if "git" in spec:
        at = next((f"@{spec[key]}" for key in ("rev", "tag", "branch") if key in spec), "")
        return f"{name}{extras} @ git+{spec['git']}{at}"
    if "url" in spec:
        return f"{name}{extras} @ {spec['url']}"
    return _pypi_spec(f"{name}{extras}", str(spec.get("version", "*")), path)


def _channels(said: object, path: Path) -> list[str]:
    """Return the names or URLs of channels; pixi may give each a table with a priority."""
    listed = _list(said, path, "channels")
    return [str(each["channel"] if isinstance(each, dict) else each) for each in listed]


def _texts(said: object, path: Path, where: str) -> list[str]:
    listed = _list(said, path, where)
    if not all(isinstance(each, str) for each in listed):
        raise ConfigError(f"{path}: {where} is to be a list of texts")
    return listed


def _list(said: object, path: Path, where: str) -> list[Any]:
    if said is None:
        return []
    if not isinstance(said, list):
        raise ConfigError(f"{path}: {where} is to be a list")
    return said


def _table(said: object) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def lines(need: CondaNeed) -> Iterable[str]:
    """Say what is asked for, a line each."""
    yield from need.specs
    yield from (f"{each} (PyPI)" for each in need.pip)
