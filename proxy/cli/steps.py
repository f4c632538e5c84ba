"""What is done before a kernel can start, for the person who waits: one line, written anew."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
import msgspec

from proxy.daemon import client
from proxy.daemon.vocabulary import NewSession, SessionInfo
from proxy.errors import NotTrusted


def told(asked: NewSession, *, trust: bool = False) -> SessionInfo:
    """Begin a session, and tell on stderr what is done until its kernel answers.

    With ``trust`` what its notebook lists is installed, whoever has written it; without, a person
    at a terminal is asked. Raises :class:`NotTrusted` where nobody agrees, and what the daemon
    does.
    """
    if trust:
        from proxy.environments import consent

        asked = msgspec.structs.replace(asked, trust=consent.YES)
    try:
        return _told(asked)
    except NotTrusted as refused:
        from proxy.cli.consent import ask

        if asked.notebook is None:
            raise
        agreed = ask(Path(asked.notebook), refused)
        return _told(msgspec.structs.replace(asked, trust=agreed))


def _told(asked: NewSession) -> SessionInfo:
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
