"""Environments that uv makes: what is asked for is resolved, and what was resolved installed."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from proxy.environments.progress import Progress, Tell
from proxy.environments.store import Environment, Manifest, Plan, Store
from proxy.environments.uv import Uv
from proxy.errors import ConfigError

FOR_KERNEL = ("ipykernel",)
"""What a Python kernel needs, whatever else is asked for."""
VERSION = 1
"""Changes when equal needs are to be made anew."""
_PYTHON = "bin/python"
_RELATIVE = re.compile(r"(?P<option>(-e |--editable )?)(?P<path>\.{1,2}/.*)")


class UvNeed(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is to have."""

    requirements: tuple[str, ...]
    """As pip and uv write them."""
    python: str | None = None
    """Which Python, as uv's ``--python`` takes it: ``>=3.11``, a path. None: the one of kmux."""
    script: str = ""
    """A block of PEP 723's metadata, which says more than the requirements: indexes, sources."""
    constraints: tuple[str, ...] = ()
    """Which versions something may have, where it is needed."""
    directory: Path | None = None
    """What relative paths are relative to, where there are any."""
    has_kernel: bool = True
    """Whether it is to have what a kernel needs."""

    @property
    def key(self) -> str:
        """The same for equal needs."""
        return hashed(
            "uv",
            *sorted(self.requirements),
            f"python {self.python or own_python()}",
            self.script,
            *sorted(self.constraints),
            str(self.directory),
            *self.for_kernel,
        )

    @property
    def for_kernel(self) -> tuple[str, ...]:
        """What is not asked for and needed."""
        return FOR_KERNEL if self.has_kernel else ()


def own_python() -> str:
    """Return the Python that kmux has been installed with, not that of its environment."""
    base: str | None = getattr(sys, "_base_executable", None)
    return base or sys.executable


def hashed(*parts: str) -> str:
    """Return a name for all of this on this kind of machine."""
    raw = msgspec.json.encode([VERSION, platform.machine(), platform.libc_ver(), *parts])
    return hashlib.sha256(raw).hexdigest()[:24]


async def prepare(need: UvNeed, store: Store, uv: Uv, tell: Tell) -> Environment:
    """Return an environment that has this, made where there is none.

    Raises :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    return await store.answered(need.key, lambda: plan(need, store, uv, tell))


async def plan(
    need: UvNeed, store: Store, uv: Uv, tell: Tell, *, is_compiled: bool = False
) -> Plan:
    """Resolve what is needed, as of now.

    ``is_compiled``: what is made is compiled to bytecode too, which takes longer than all the rest
    and saves who imports it first that much. Raises as :func:`prepare`.
    """
    tell(Progress(stage="solving"))
    python = await find_python(uv, need.python, tell)
    packages = await _resolve(uv, need, python, store, tell)

    async def make(directory: Path, prefix: Path) -> Manifest:
        await _install(uv, directory, python, packages, tell, is_compiled=is_compiled)
        return Manifest(
            manager="uv",
            asked=need.requirements,
            packages=tuple(packages),
            python=_PYTHON,
            created=time.time(),
        )

    return Plan(key=hashed("uv", python, *packages), make=make)


async def find_python(uv: Uv, wanted: str | None, tell: Tell) -> str:
    """Return the path of a Python that will do; one is downloaded where none is installed.

    Raises :class:`ConfigError` where there is none, :class:`EnvironmentFailed` without a network.
    """
    if wanted is None:
        return own_python()
    wanted = ",".join(part.strip() for part in wanted.split(","))
    if wanted.startswith("-"):  # uv would take it for an option
        raise ConfigError(f'{wanted!r} is no Python; one is written like ">=3.11" or "3.12"')
    try:
        return (
            await uv.run("python", "find", "--no-project", "--system", wanted, tell=tell)
        ).strip()
    except ConfigError:
        tell(Progress(stage="downloading", text=f"Python {wanted}"))
        await uv.run("python", "install", wanted, tell=tell)
        return (await uv.run("python", "find", "--no-project", wanted, tell=tell)).strip()


async def _resolve(uv: Uv, need: UvNeed, python: str, store: Store, tell: Tell) -> list[str]:
    """Return what is to be installed: each package with its version, or where it is from."""
    with store.workplace() as directory:
        sources = [_written(directory / "kernel.in", need.for_kernel)]
        if need.script:
            sources.append(_written(directory / "script.py", [need.script]))
        else:
            sources.append(_written(directory / "asked.in", need.requirements))
        constraints = _written(directory / "constraints.txt", need.constraints)
        text = await uv.run(
            *("pip", "compile", *sources, "--constraint", constraints),
            *("--project", str(directory), "--python", python),
            *("--no-header", "--no-annotate"),
            tell=tell,
            cwd=need.directory,
        )
    lines = (line.strip() for line in text.splitlines())
    return sorted(
        _absolute(line, need.directory) for line in lines if line and not line.startswith("#")
    )


def _absolute(line: str, directory: Path | None) -> str:
    """Say where a path is whatever the working directory: another notebook's is another package."""
    found = _RELATIVE.match(line)
    if found is None:
        return line
    return f"{found['option']}{((directory or Path()) / found['path']).resolve()}"


async def _install(
    uv: Uv,
    directory: Path,
    python: str,
    packages: Sequence[str],
    tell: Tell,
    *,
    is_compiled: bool,
) -> None:
    """Make an environment of these packages that may be renamed afterwards."""
    project = ("--project", str(directory.parent))
    await uv.run(
        *("venv", "--relocatable", "--no-project", "--python", python, str(directory)),
        *project,
        tell=tell,
    )
    listed = _written(directory.parent / "packages.txt", packages)
    count = f"{len(packages)} package{'' if len(packages) == 1 else 's'}"
    tell(Progress(stage="installing", text=count))
    await uv.run(
        *("pip", "install", "--no-deps", "--link-mode", "hardlink", "--requirement", listed),
        *("--python", str(directory / _PYTHON)),
        *(("--compile-bytecode",) if is_compiled else ()),
        *project,
        tell=tell,
    )


def _written(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)
