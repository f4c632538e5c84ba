"""A session's kernel where its notebook chooses it: looked up, had, and looked up again before each
restart, since who edits what a notebook needs restarts its kernel to have that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from proxy import trust
from proxy.environments import consent, finding, preparation, uv
from proxy.environments.detection import Choice, Detection
from proxy.environments.progress import Progress
from proxy.environments.store import Store
from proxy.kernel_command import KernelCommand
from proxy.kernels import specs
from proxy.kernels.process import LaunchOptions
from proxy.logs import log
from proxy.settings import Settings, cache_dir

KERNEL_NAMES = {"python": "python3", "deno": "deno"}
"""What a kernel is called that no kernelspec describes: as frontends know its language's."""
LANGUAGES = {"python": "python", "deno": "typescript"}

Tell = Callable[[str, str], None]
"""Is told what is done, and in which language the kernel will be."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """For what a kernel is."""

    notebook: str | None = None
    """Its path; None: for none, what is above ``cwd`` counts."""
    cwd: str | None = None
    env: dict[str, str] = {}
    """The variables of whoever asked: which index is asked for packages, by which proxy."""
    trust: str = ""
    """What whoever asked has said of what the notebook lists (``consent.py``)."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What it is."""

    detection: Detection
    kernel_name: str
    language: str

    @property
    def env_source(self) -> str:
        """Where its environment is from."""
        return self.detection.source


async def choose(wanted: Wanted, settings: Settings) -> Chosen:
    """Look up which kernel it is to be, and in which environment.

    Raises :class:`ConfigError` where that cannot be known, :class:`NotTrusted` where the notebook
    lists packages and nobody stands for it.
    """
    return await trio.to_thread.run_sync(_choose, wanted, settings)


def _choose(wanted: Wanted, settings: Settings) -> Chosen:
    notebook = Path(wanted.notebook) if wanted.notebook is not None else None
    text = finding.text_of(notebook) if notebook is not None else None
    detection = finding.of_text(text, notebook, Path(wanted.cwd or "."), _choice(settings))
    if notebook is not None:
        consent.check(detection, notebook, text or "", wanted.trust, trust.is_trusted)
    if detection.kernelspec is not None:
        spec = specs.find(detection.kernelspec)
        return Chosen(detection=detection, kernel_name=detection.kernelspec, language=spec.language)
    runtime = detection.runtime
    return Chosen(
        detection=detection, kernel_name=KERNEL_NAMES[runtime], language=LANGUAGES[runtime]
    )


def _choice(settings: Settings) -> Choice:
    return Choice(
        default_runtime=settings.default_runtime,
        default_python_env=settings.default_python_env,
        inline_first=settings.inline_first,
        kernelspecs=tuple(specs.RealKernelSpecManager().find_kernel_specs()),
    )


async def complete(
    options: LaunchOptions, chosen: Chosen, wanted: Wanted, settings: Settings, tell: Tell
) -> LaunchOptions:
    """Have what the kernel needs, and say how it is launched.

    Raises :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    command = await _command(chosen, wanted, settings, tell)
    return msgspec.structs.replace(
        options, kernel_name=chosen.kernel_name, command=command, env_source=chosen.env_source
    )


async def _command(
    chosen: Chosen, wanted: Wanted, settings: Settings, tell: Tell
) -> KernelCommand | None:
    if chosen.detection.runtime == "kernelspec":
        return None

    def step(progress: Progress) -> None:
        log().info("environment.preparing", source=chosen.env_source, step=progress.line)
        tell(progress.line, chosen.language)

    store = await trio.to_thread.run_sync(lambda: Store(cache_dir() / "environments"))
    return await preparation.prepare(
        chosen.detection,
        store=store,
        uv=uv.find(variables=wanted.env or None),
        tell=step,
        notebook=Path(wanted.notebook) if wanted.notebook is not None else None,
        channels=tuple(settings.conda_channels.split()),
    )
