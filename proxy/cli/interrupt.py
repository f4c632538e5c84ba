"""``kmux interrupt``: what Ctrl-C is for a kernel."""

from __future__ import annotations

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find


@click.command("interrupt")
@click.argument("name", type=SessionName())
def command(name: str) -> None:
    """Interrupt the cell that runs in session NAME, whoever's it is.

    \b
    Example:
      kmux interrupt analysis
    """
    holder, _ = find(name)
    holder.interrupt(name)
    click.echo(f"interrupted {name}")
