"""``kmux env prepare``: have an environment before a kernel needs it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from proxy.cli.consent import ask
from proxy.cli.detecting import Detected, detected
from proxy.cli.table import show_json
from proxy.environments import chosen, consent
from proxy.environments.detection import PREWARMED
from proxy.environments.progress import Progress
from proxy.errors import NotTrusted
from proxy.kernel_command import KernelCommand
from proxy.settings import Settings, load

NOTHING_TO_MAKE = (*PREWARMED, "deno", "kernelspec")


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """``kmux env prepare --json``."""

    env_source: str
    environment: str
    """Its key in the store; empty where the notebook's project has it."""
    prefix: str
    """Where it is; empty where there was nothing to make."""
    python: str


@click.command("prepare")
@click.argument("notebook", type=click.Path(path_type=Path, readable=False))
@click.option("--trust", is_flag=True, help="Install what NOTEBOOK lists without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(notebook: Path, trust: bool, as_json: bool) -> None:
    """Make the environment of NOTEBOOK, without a kernel: for a journey without a network, or an
    image of a container.

    What is done is told on stderr. An environment that is there already is there at once.

    \b
    Example:
      kmux env prepare report.ipynb
    """
    settings = load()
    found = detected(notebook.absolute(), settings)
    _check(found, consent.YES if trust else "")
    source, made = found.detection.source, None
    if source not in NOTHING_TO_MAKE:
        made = _make(found, settings)
    prepared = Prepared(
        env_source=source,
        environment=made.key if made is not None else "",
        prefix=made.prefix if made is not None else "",
        python=made.argv[0] if made is not None else "",
    )
    if as_json:
        show_json(prepared)
    elif made is None:
        click.echo(f"{source}: there is nothing to make")
    else:
        click.echo(f"{source}: {prepared.prefix}")


def _check(found: Detected, said: str) -> None:
    """Raises :class:`NotTrusted` where nobody agrees."""
    try:
        _say(found, said)
    except NotTrusted as refused:
        _say(found, ask(found.notebook, refused))


def _say(found: Detected, said: str) -> None:
    consent.check(found.detection, found.notebook, found.text, said, lambda _: found.is_trusted)


def _make(found: Detected, settings: Settings) -> KernelCommand:
    import trio

    from proxy.environments import preparation, uv

    def tell(step: Progress) -> None:
        click.echo(step.line, err=True)

    async def prepare() -> KernelCommand:
        return await preparation.prepare(
            found.detection,
            store=chosen.store(),
            uv=uv.find(),
            tell=tell,
            notebook=found.notebook,
            channels=chosen.channels_of(settings),
        )

    return trio.run(prepare)
