"""Asking a person whether what a notebook lists may be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from proxy.cli.detecting import detected
from proxy.environments import consent
from proxy.errors import NotTrusted
from proxy.settings import load


def ask(notebook: Path, refused: NotTrusted) -> str:
    """Show what a notebook lists, and ask. Returns the fingerprint of what was agreed to.

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
    if not click.confirm(f"Install these for {name}?", default=False, err=True):
        raise refused
    return consent.fingerprint(detection)
