"""``kmux env explain``: which environment a notebook gets, and why."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from proxy.cli.detecting import Detected, detected
from proxy.cli.table import show_json
from proxy.environments import chosen, consent, explanation
from proxy.environments.detection import Rule, Runtime, Source
from proxy.environments.requirements import Kind
from proxy.settings import load

_TRUSTED = "Jupyter trusts the notebook, so nobody is asked"
_NOT_TRUSTED = "Jupyter does not trust the notebook, so somebody has to agree (--trust)"


class ListedRequirement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a notebook lists."""

    text: str
    name: str
    kind: Kind
    note: str


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is there and does not count."""

    path: str
    why: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """``kmux env explain --json``."""

    notebook: str
    runtime: Runtime
    kernelspec: str | None
    env_source: Source
    runtime_rules: tuple[Rule, ...]
    environment_rules: tuple[Rule, ...]
    passed: list[PassedOver]
    project: str | None
    """The file that says what is needed."""
    requirements: list[ListedRequirement]
    """What the notebook lists itself, and below."""
    python: str | None
    channels: tuple[str, ...]
    to_install: list[str]
    """What the environment has, in words."""
    trusted: bool | None
    """Whether Jupyter trusts the notebook; null where that does not count: it lists nothing."""
    fingerprint: str | None
    """What stands for agreeing to what the notebook lists."""


@click.command("explain")
@click.argument("notebook", type=click.Path(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(notebook: Path, as_json: bool) -> None:
    """Show which environment NOTEBOOK gets: the rule that matches, why the others before it do not,
    and what is going to be installed.

    Nothing is made or installed. A notebook that is not there yet gets what a new one there would.

    \b
    Example:
      kmux env explain report.ipynb
      kmux env explain report.ipynb --json | jq -r .env_source
    """
    settings = load()
    found = detected(notebook, settings)
    detection = found.detection
    channels, prewarmed = chosen.channels_of(settings), chosen.prewarmed_of(settings)
    if as_json:
        to_install = list(explanation.to_install(detection, channels, prewarmed))
        show_json(_told(found, to_install))
        return
    if found.text is None:
        click.echo(f"{notebook} is not there yet; this is what it would get", err=True)
    for line in explanation.lines(detection, channels, prewarmed):
        click.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in line))
    if detection.is_from_notebook:
        click.echo(f"trust: {_TRUSTED if found.is_trusted else _NOT_TRUSTED}")


def _told(found: Detected, to_install: list[str]) -> Explanation:
    detection = found.detection
    is_listed = detection.is_from_notebook
    return Explanation(
        notebook=str(found.notebook.absolute()),
        runtime=detection.runtime,
        kernelspec=detection.kernelspec,
        env_source=detection.source,
        runtime_rules=detection.runtime_rules,
        environment_rules=detection.environment_rules,
        passed=[PassedOver(path=str(each.path), why=each.why) for each in detection.passed],
        project=str(detection.project.path) if detection.project is not None else None,
        requirements=[
            ListedRequirement(text=each.text, name=each.name, kind=each.kind, note=each.note)
            for each in detection.requirements
        ],
        python=detection.python,
        channels=detection.channels,
        to_install=to_install,
        trusted=found.is_trusted if is_listed else None,
        fingerprint=consent.fingerprint(detection) if is_listed else None,
    )
