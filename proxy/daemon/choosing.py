"""A session's kernel where its notebook chooses it: looked up, had, and looked up again before each
restart, since who edits what a notebook needs restarts its kernel to have that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from proxy.environments import consent, finding, preparation, uv
from proxy.environments.chosen import channels_of, choice_of
from proxy.environments.chosen import pool as chosen_pool
from proxy.environments.detection import FROM_NOTEBOOK, PREWARMED, Detection
from proxy.environments.pool import Pool
from proxy.environments.progress import Progress
from proxy.environments.wishes import Kind
from proxy.errors import ConfigError
from proxy.kernel_command import KernelCommand
from proxy.kernels import specs
from proxy.kernels.process import LaunchOptions
from proxy.logs import log
from proxy.settings import Settings

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
    def agreed(self) -> str:
        """What stands for the list of packages that somebody has agreed to by now."""
        listed = self.detection.is_from_notebook
        return consent.fingerprint(self.detection) if listed else ""

    @property
    def prewarmed(self) -> Kind | None:
        """Of which kind an environment is that any notebook may have; None: it asks for more."""
        return PREWARMED.get(self.detection.source)

    @property
    def env_source(self) -> str:
        """Where its environment is from."""
        return self.detection.source


async def choose(wanted: Wanted, settings: Settings, *, had: str = "") -> Chosen:
    """Look up which kernel it is to be, and in which environment.

    ``had`` is where the last one's environment was from, which a notebook that is gone cannot say
    any more.

    Raises :class:`ConfigError` where that cannot be known, :class:`NotTrusted` where the notebook
    lists packages and nobody stands for it.
    """
    return await trio.to_thread.run_sync(_choose, wanted, settings, had)


def _choose(wanted: Wanted, settings: Settings, had: str) -> Chosen:
    notebook = Path(wanted.notebook) if wanted.notebook is not None else None
    text = finding.text_of(notebook) if notebook is not None else None
    if text is None and had in FROM_NOTEBOOK:
        raise ConfigError(
            f"{notebook} is not there any more, which lists what its kernel needs; put it back, or "
            "begin another session"
        )
    choice = choice_of(settings, specs.RealKernelSpecManager().find_kernel_specs())
    detection = finding.of_text(text, notebook, Path(wanted.cwd or "."), choice)
    if notebook is not None:
        consent.check(detection, notebook, text or "", wanted.trust, _is_trusted)
    if detection.kernelspec is not None:
        spec = specs.find(detection.kernelspec)
        return Chosen(detection=detection, kernel_name=detection.kernelspec, language=spec.language)
    runtime = detection.runtime
    return Chosen(
        detection=detection, kernel_name=KERNEL_NAMES[runtime], language=LANGUAGES[runtime]
    )


def _is_trusted(text: str) -> bool:
    from proxy import trust  # slow to import, and for notebooks that list something alone

    return trust.is_trusted(text)


async def complete(
    options: LaunchOptions,
    chosen: Chosen,
    wanted: Wanted,
    settings: Settings,
    tell: Tell,
    *,
    had: str = "",
    pool: Pool | None = None,
) -> LaunchOptions:
    """Have what the kernel needs, and say how it is launched.

    ``had`` is the key of the environment of its last kernel, which one that was prewarmed goes on
    with: its user may have installed something into it.

    Raises :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
    """
    command = await _command(chosen, wanted, settings, tell, had, pool)
    return msgspec.structs.replace(
        options, kernel_name=chosen.kernel_name, command=command, env_source=chosen.env_source
    )


async def _command(
    chosen: Chosen,
    wanted: Wanted,
    settings: Settings,
    tell: Tell,
    had: str,
    pool: Pool | None,
) -> KernelCommand | None:
    if chosen.detection.runtime == "kernelspec":
        return None

    def step(progress: Progress) -> None:
        log().info("environment.preparing", source=chosen.env_source, step=progress.line)
        tell(progress.line, chosen.language)

    if pool is None:
        pool = await trio.to_thread.run_sync(chosen_pool, settings)
    if chosen.prewarmed is not None:
        return await _prewarmed(pool, chosen.prewarmed, wanted, step, had)
    return await preparation.prepare(
        chosen.detection,
        store=pool.store,
        uv=uv.find(variables=wanted.env or None),
        tell=step,
        notebook=Path(wanted.notebook) if wanted.notebook is not None else None,
        channels=channels_of(settings),
    )


async def _prewarmed(
    pool: Pool, kind: Kind, wanted: Wanted, step: Callable[[Progress], None], had: str
) -> KernelCommand:
    """Have an environment that any notebook may have: the one that it had, or one that waits."""
    former = pool.store.find(had) if had else None
    if former is not None and former.key.startswith(f"prewarmed-{kind}-"):
        return preparation.in_environment(former)
    environment = pool.take(kind, notebook=wanted.notebook)
    if environment is None:
        find = uv.find(variables=wanted.env or None)
        environment = await pool.make_taken(kind, find, step, notebook=wanted.notebook)
    return preparation.in_environment(environment)
