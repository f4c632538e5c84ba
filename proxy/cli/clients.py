"""``kmux clients``: who is attached."""

from __future__ import annotations

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find
from proxy.cli.table import show, show_json
from proxy.daemon.vocabulary import ClientEntry


@click.command("clients")
@click.argument("name", type=SessionName())
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(name: str, as_json: bool) -> None:
    """Show the frontends of session NAME, and how many cells of each wait.

    \b
    Example:
      kmux clients analysis
    """
    holder, _ = find(name)
    entries = holder.clients(name)
    if as_json:
        show_json(entries)
    elif not entries:
        click.echo(f"No frontend is attached to {name}. Join it with: kmux console {name}")
    else:
        show(ClientEntry, entries)
