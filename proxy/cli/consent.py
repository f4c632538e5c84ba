"""Asking a person whether what a notebook lists may be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from proxy.cli.detecting import Detected, detected
from proxy.environments import consent
from proxy.errors import ConfigError, NotTrusted
from proxy.settings import load

TRUSTED = "A yes has Jupyter trust the notebook, so its HTML and JavaScript run in JupyterLab too."


def sign(notebook: Path, *, trust: bool) -> None:
    """Have Jupyter trust a notebook that lists packages, where a person agrees to these or
    ``trust`` is said: for a frontend, which can say of nothing else that somebody has agreed.

    Raises :class:`NotTrusted` where nobody agrees, and :class:`ConfigError` where Jupyter's
    signatures cannot be had.
    """
    from proxy import trust as jupyter  # it takes long to import

    found = detected(notebook, load())
    if not found.detection.is_from_notebook or found.is_trusted:
        return
    if not trust:
        try:
            _check(found, "")
        except NotTrusted as refused:
            agreed = ask(notebook, refused, note=TRUSTED)
            found = detected(notebook, load())
            _check(found, agreed)
    if found.text is None or not jupyter.trust(found.text):
        raise ConfigError(f"Jupyter cannot be had to trust {notebook}; see: jupyter trust --help")


def _check(found: Detected, said: str) -> None:
    consent.check(found.detection, found.notebook, found.text, said, lambda _: found.is_trusted)


def ask(notebook: Path, refused: NotTrusted, *, note: str = "") -> str:
    """Show what a notebook lists, and ask. Returns the fingerprint of what was agreed to.
    ``note`` is what else comes of a yes.

    It is what to send as ``trust`` when asking again. Raises ``refused`` where nobody can be asked,
    since there is no terminal, and where the answer is no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise refused
    detection = detected(notebook, load()).detection
    if not detection.is_from_notebook:  # here; who refused has other settings
        raise refused
    name = consent.plain(str(notebook))
    click.echo(f"{name} asks for these packages, and Jupyter does not trust it:", err=True)
    for line in consent.listed(detection):
        click.echo(f"  {line}", err=True)
    if note:
        click.echo(note, err=True)
    if not click.confirm(f"Install these for {name}?", default=False, err=True):
        raise refused
    return consent.fingerprint(detection)
