"""Environments of conda packages, by py-rattler: what pixi is made of, without a conda.

It is an extra (``pip install 'kmux[conda]'``), imported where it is needed. Packages of PyPI that
are asked for beside those of the channels are installed by uv, as pixi does it.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from proxy.environments import asyncio_work
from proxy.environments.conda_needs import FOR_KERNEL, CondaNeed
from proxy.environments.progress import Progress, Stage, Tell
from proxy.environments.store import Environment, Manifest, Plan, Store
from proxy.environments.uv import MAX_WHY, NO_ROOM, UNREACHABLE, Uv
from proxy.environments.uv_environments import hashed
from proxy.errors import ConfigError, EnvironmentFailed, KmuxError, Unreachable

if TYPE_CHECKING:
    from rattler import RepoDataRecord

_PYTHON = "bin/python"
_MEGABYTE = 1_000_000


async def prepare(
    need: CondaNeed, store: Store, uv: Uv, tell: Tell, cache: Path | None = None
) -> Environment:
    """Return an environment that has this, made where there is none.

    ``cache`` is where packages are kept; None: where rattler and pixi keep them. Raises
    :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    return await store.answered(need.key, lambda: plan(need, uv, tell, cache))


async def plan(
    need: CondaNeed, uv: Uv, tell: Tell, cache: Path | None = None, *, is_offline: bool = False
) -> Plan:
    """Resolve what is needed, as of now.

    ``is_offline``: of what is cached, whatever its age. Raises as :func:`prepare`.
    """
    require()
    tell(Progress(stage="solving"))
    token = trio.lowlevel.current_trio_token()

    def tell_from_thread(step: Progress) -> None:
        token.run_sync_soon(tell, step)

    records, locked_pip = await asyncio_work.run(lambda: _solved(need, cache, is_offline))
    pip = tuple(locked_pip if need.lock else need.pip)
    packages = sorted(f"{each.name.normalized}={each.version}={each.build}" for each in records)

    async def make(directory: Path, prefix: Path) -> Manifest:
        await asyncio_work.run(
            lambda: _installed(records, directory, prefix, cache, tell_from_thread)
        )
        if pip:
            await _add_from_pypi(pip, directory, prefix, uv, tell)
        return Manifest(
            manager="conda",
            asked=(*need.specs, *need.pip),
            packages=(*packages, *sorted(pip)),
            python=_PYTHON,
            created=time.time(),
            variables=need.variables,
        )

    key = hashed("conda", *(f"{each.url}" for each in records), "pip", *sorted(pip))
    return Plan(key=key, make=make)


def is_installed() -> bool:
    """Whether py-rattler is there."""
    return importlib.util.find_spec("rattler") is not None


def require() -> None:
    """Raise :class:`ConfigError` where py-rattler is not there."""
    if not is_installed():
        raise ConfigError(
            "conda environments need py-rattler; 'pip install \"kmux[conda]\"' brings it"
        )


async def _solved(
    need: CondaNeed, cache: Path | None, is_offline: bool
) -> tuple[list[RepoDataRecord], tuple[str, ...]]:
    """Return which packages it takes, and what the lock has of PyPI."""
    import rattler
    from rattler.repo_data import SourceConfig

    source = SourceConfig(cache_action="force-cache-only" if is_offline else "cache-or-fetch")
    pinned: Sequence[RepoDataRecord] = ()
    from_pypi: tuple[str, ...] = ()
    if need.lock is not None:
        pinned, from_pypi = _locked(need.lock)
    try:
        records = await rattler.solve(
            sources=list(need.channels),
            specs=[*need.specs, *FOR_KERNEL],
            gateway=rattler.Gateway(cache_dir=cache, default_config=source),
            virtual_packages=rattler.VirtualPackage.detect(),
            pinned_packages=list(pinned),
        )
    except Exception as error:
        raise _explained(error, need.channels) from None
    return records, from_pypi


def _locked(path: Path) -> tuple[list[RepoDataRecord], tuple[str, ...]]:
    """Read pixi's lock: the default environment for this platform."""
    import rattler

    try:
        environment = rattler.LockFile.from_path(path).default_environment()
        assert environment is not None
        here = str(rattler.Subdir.current())
        platform = next(each for each in environment.platforms() if each.name == here)
        records = environment.conda_repodata_records_for_platform(platform) or []
        pypi = environment.pypi_packages_for_platform(platform) or []
    except StopIteration:
        raise ConfigError(f"{path} has nothing for this platform; 'pixi lock' adds it") from None
    except Exception as error:
        raise ConfigError(
            f"cannot read {path} ({_line(error)}); 'pixi lock' makes it anew"
        ) from None
    return records, tuple(_pin(each) for each in pypi)


def _pin(package: Any) -> str:
    location = str(package.location)
    if location.startswith(("./", "../", "/")):
        return location
    return (
        f"{package.name}=={package.version}" if package.version else f"{package.name} @ {location}"
    )


async def _installed(
    records: list[RepoDataRecord], directory: Path, prefix: Path, cache: Path | None, tell: Tell
) -> None:
    import rattler

    sizes = {each.name.normalized: each.size for each in records}
    try:
        await rattler.install(
            records,
            target_prefix=directory,
            alternative_target_prefix=prefix,
            cache_dir=cache,
            show_progress=False,
            reporter=_Reporter(sizes, tell),
        )
    except Exception as error:
        raise _explained(error, ()) from None


class _Reporter:
    """Tells of what rattler does, whose own threads call."""

    def __init__(self, sizes: dict[str, int | None], tell: Tell) -> None:
        self._sizes = sizes
        self._tell = tell
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: 0  # all that is not told
        raise AttributeError(name)

    def on_transaction_start(self, total_operations: int) -> None:
        self._say("installing", f"{total_operations} packages")

    def on_populate_cache_start(self, operation: int, package_name: str) -> int:
        self._names[operation] = package_name
        return operation

    def on_download_start(self, cache_entry: int) -> int:
        name = self._names.get(cache_entry, "")
        size = self._sizes.get(name)
        self._say("downloading", f"{name} ({size / _MEGABYTE:.1f}MB)" if size else name)
        return cache_entry

    def _say(self, stage: Stage, text: str) -> None:
        self._tell(Progress(stage=stage, text=text))


async def _add_from_pypi(
    requirements: Sequence[str], directory: Path, prefix: Path, uv: Uv, tell: Tell
) -> None:
    listed = directory.parent / "packages.txt"
    listed.write_text("".join(f"{each}\n" for each in requirements))
    await uv.run(
        *("pip", "install", "--link-mode", "hardlink", "--requirement", str(listed)),
        *("--python", str(directory / _PYTHON), "--project", str(directory.parent)),
        tell=tell,
    )
    old, new = f"#!{directory}".encode(), f"#!{prefix}".encode()
    for script in (directory / "bin").iterdir():  # they are to run where it will be
        if script.is_file() and not script.is_symlink():
            raw = script.read_bytes()
            if raw.startswith(old):
                script.write_bytes(new + raw.removeprefix(old))


def _explained(error: Exception, channels: Sequence[str]) -> KmuxError:
    said = _line(error)
    kind = type(error).__name__
    if kind == "SolverError":
        return ConfigError(f"conda: {said}")
    where = f" of {', '.join(channels)}" if channels else ""
    if NO_ROOM.search(said):
        return EnvironmentFailed(f"conda: {said}; make room, or set RATTLER_CACHE_DIR")
    if kind in ("FetchRepoDataError", "GatewayError") or UNREACHABLE.search(said):
        return Unreachable(f"packages{where} cannot be had ({said}); try again online")
    if kind == "InstallerError":
        return EnvironmentFailed(f"conda: {said}")
    return ConfigError(f"conda: {said}")


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= MAX_WHY else f"{text[:MAX_WHY]}…"
