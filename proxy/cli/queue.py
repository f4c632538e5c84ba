"""``kmux queue``: what runs and what waits in a shared kernel."""

from __future__ import annotations

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find
from proxy.cli.table import show, show_json
from proxy.daemon.vocabulary import QueueEntry
from proxy.errors import ConfigError


@click.command("queue")
@click.argument("name", type=SessionName())
@click.option("--cancel", metavar="ID", help="Take the cell with this msg_id out of the queue.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(name: str, cancel: str | None, as_json: bool) -> None:
    """Show the cells that run and wait in session NAME, in the order of their turns.

    \b
    Example:
      kmux queue analysis
      kmux queue analysis --cancel 5ab1f0c2-7d3fd1e26a_4
    """
    holder, _ = find(name)
    if cancel is not None:
        if not holder.cancel(name, cancel):
            raise ConfigError(f"no cell {cancel!r} waits in {name}; kmux queue {name} lists them")
        click.echo(f"cancelled {cancel}")
        return
    entries = holder.queue(name)
    if as_json:
        show_json(entries)
    elif not entries:
        click.echo(f"No cell runs or waits in {name}.")
    else:
        show(QueueEntry, entries)
