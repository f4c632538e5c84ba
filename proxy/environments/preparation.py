"""From what a notebook wants to a kernel's command line, by way of an environment that has it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from proxy.environments import conda, conda_needs, uv_environments, uv_projects
from proxy.environments.deno_permissions import start_code
from proxy.environments.detection import Detection
from proxy.environments.progress import Tell
from proxy.environments.store import Environment, Store
from proxy.environments.uv import Uv
from proxy.environments.uv_environments import UvNeed
from proxy.errors import ConfigError
from proxy.kernel_command import CONNECTION_FILE, KernelCommand

# The project's packages come first. What is laid over it is there for who looks further.
_OVERLAID = """
import runpy, sys
sys.path.append(sys.argv.pop(1))
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


async def prepare(
    detection: Detection,
    *,
    store: Store,
    uv: Uv,
    tell: Tell,
    notebook: Path | None = None,
    channels: tuple[str, ...] = (),
) -> KernelCommand:
    """Have the environment that was detected, and return how to start a kernel in it.

    ``channels`` are conda's, for who names none. Raises :class:`ConfigError`,
    :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    source = detection.source
    if source == "deno":
        return deno(detection.deno_permissions)
    if source == "uv:pyproject":
        assert detection.project is not None
        return await _in_project(detection.project.directory, notebook, store, uv, tell)
    if source in ("uv:inline", "uv:pep723"):
        need = UvNeed(
            requirements=tuple(each.text for each in detection.requirements),
            python=detection.python,
            script=detection.script,
            directory=notebook.parent if notebook is not None and _has_paths(detection) else None,
        )
        made = await uv_environments.prepare(need, store, uv, tell)
    elif source in ("conda:inline", "conda:pixi", "conda:env_yml"):
        made = await conda.prepare(conda_needs.need_of(detection, channels), store, uv, tell)
    else:
        raise AssertionError(f"{source} is not prepared here")
    made.note_use(str(notebook) if notebook is not None else None)
    return in_environment(made)


def in_environment(made: Environment) -> KernelCommand:
    """Return how to start a kernel in an environment of the store."""
    variable = "CONDA_PREFIX" if made.manifest.manager == "conda" else "VIRTUAL_ENV"
    return KernelCommand(
        argv=(str(made.python), "-m", "ipykernel_launcher", "-f", CONNECTION_FILE),
        env={variable: str(made.prefix), **made.manifest.variables},
        first_on_path=str(made.python.parent),
        key=made.key,
        prefix=str(made.prefix),
    )


async def _in_project(
    directory: Path, notebook: Path | None, store: Store, uv: Uv, tell: Tell
) -> KernelCommand:
    found = await uv_projects.synchronise(directory, store, uv, tell)
    launch: tuple[str, ...] = ("-m", "ipykernel_launcher")
    if found.overlay is not None:
        (packages,) = found.overlay.prefix.glob("lib/python*/site-packages")
        launch = ("-c", _OVERLAID, str(packages))
        found.overlay.note_use(str(notebook) if notebook is not None else None)
    return KernelCommand(
        argv=(str(found.python), *launch, "-f", CONNECTION_FILE),
        env={"VIRTUAL_ENV": str(found.prefix)},
        first_on_path=str(found.python.parent),
        key=found.overlay.key if found.overlay is not None else "",
        prefix=str(found.prefix),
    )


def deno(permissions: Sequence[str] | None = None) -> KernelCommand:
    """Return how to start Deno's kernel, which may do this much, or everything.

    Raises :class:`ConfigError` where there is no Deno, or it cannot be held to that.
    """
    program = shutil.which("deno")
    if program is None:
        try:
            import deno as wheel  # type: ignore[import-untyped,import-not-found,unused-ignore]

            program = str(wheel.find_deno_bin())
        except (ImportError, FileNotFoundError):
            raise ConfigError("there is no Deno; 'pip install deno' brings it") from None
    return KernelCommand(
        argv=(program, "jupyter", "--kernel", "--conn", CONNECTION_FILE),
        language="typescript",
        display_name="Deno",
        start_code=start_code(permissions),
        interrupt_mode="message",  # it dies of SIGINT
    )


def _has_paths(detection: Detection) -> bool:
    return bool(detection.script) or any(
        each.kind in ("path", "option") for each in detection.requirements
    )
