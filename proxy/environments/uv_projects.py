"""A project's own environment: as uv keeps it, with a kernel's packages laid over it.

The project is synchronised as ``uv run`` does it. What a kernel needs and the project has not is in
an environment beside it, and comes last on the path: the project's lock does not know of it, nor do
programs that its code starts, and nothing of the project's is replaced.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from proxy.environments.progress import Progress, Tell
from proxy.environments.store import Environment, Store
from proxy.environments.uv import Uv
from proxy.environments.uv_environments import UvNeed, prepare
from proxy.errors import ConfigError

_ASK = """
import importlib.util, json, sys
has = importlib.util.find_spec("ipykernel") is not None
print(json.dumps({"prefix": sys.prefix, "python": sys.executable, "has_kernel": has}))
"""


class ProjectEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """Where a project's code runs."""

    prefix: Path
    python: Path
    overlay: Environment | None
    """What its kernel has besides; None where the project has a kernel of its own."""


class _Said(msgspec.Struct):
    prefix: str
    python: str
    has_kernel: bool


async def synchronise(directory: Path, store: Store, uv: Uv, tell: Tell) -> ProjectEnvironment:
    """Bring a project's environment up to date with its lock.

    Raises :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    project = ("--project", str(directory), "--directory", str(directory))
    tell(Progress(stage="solving", text=str(directory)))
    await uv.run("sync", "--inexact", *project, tell=tell)
    text = await uv.run("run", "--no-sync", *project, "python", "-c", _ASK, tell=tell)
    try:
        said = msgspec.json.decode(text.strip().splitlines()[-1], type=_Said)
    except (msgspec.MsgspecError, IndexError):
        raise ConfigError(f"the project's Python in {directory} said {text[:200]!r}") from None
    overlay = None if said.has_kernel else await _overlay(said.python, store, uv, tell)
    return ProjectEnvironment(prefix=Path(said.prefix), python=Path(said.python), overlay=overlay)


async def _overlay(python: str, store: Store, uv: Uv, tell: Tell) -> Environment:
    """Have a kernel's packages, in versions that suit what the project has."""
    frozen = await uv.run("pip", "freeze", "--exclude-editable", "--python", python, tell=tell)
    pinned = tuple(line for line in frozen.splitlines() if "==" in line)
    return await prepare(
        UvNeed(requirements=(), python=python, constraints=pinned), store, uv, tell
    )
