"""``kmux rename``: another name for a session."""

from __future__ import annotations

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find_in_daemon


@click.command("rename")
@click.argument("name", type=SessionName())
@click.argument("new")
def command(name: str, new: str) -> None:
    """Call session NAME, and its record, NEW. Frontends stay attached, connection files in place.

    \b
    Example:
      kmux rename analysis thesis
    """
    holder, _ = find_in_daemon(name, "it keeps its name until it ends")
    session = holder.rename(name, new)
    click.echo(f"{name} is called {session.name} now")
