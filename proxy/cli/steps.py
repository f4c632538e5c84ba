"""What is done before a kernel can start, for the person who waits: one line, written anew."""

from __future__ import annotations

import shutil
import sys

import click

from proxy.daemon import client
from proxy.daemon.vocabulary import NewSession, SessionInfo


def told(asked: NewSession) -> SessionInfo:
    """Begin a session, and tell on stderr what is done until its kernel answers."""
    steps = _Steps()
    try:
        return client.running().new(asked, steps.tell)
    finally:
        steps.clear()


class _Steps:
    """On a terminal one line that changes; elsewhere a line for each step."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._shown = False

    def tell(self, step: str) -> None:
        if not step:
            return
        if self._on_terminal:
            columns = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[K{step[: columns - 1]}", err=True, nl=False)
            self._shown = True
        else:
            click.echo(step, err=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)
