"""``kmux ps``: what is shared on this machine."""

from __future__ import annotations

import click

from proxy.cli.listing import Listing, print_once
from proxy.cli.listing import watch as watch_listing
from proxy.daemon import client, registry

COLUMNS = (
    "name",
    "kernel",
    "language",
    "env_source",
    "status",
    "clients",
    "pid",
    "connection_file",
)


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; with --json: a line per change.")
def command(as_json: bool, watch: bool) -> None:
    """List the kernels that are shared on this machine.

    \b
    Example:
      kmux ps --watch
      kmux ps --json | jq -r '.[].connection_file'
    """
    if watch:
        watch_listing(look, as_json=as_json)
    else:
        print_once(look(), as_json=as_json)


def look() -> Listing:
    """Return all sessions, whoever has them."""
    daemon = client.revived()
    sessions = registry.sessions()
    notes = [f"{each.name}: {each.problem}" for each in sessions if each.problem]
    notes += [f"{each.name}: {each.preparing}" for each in sessions if each.preparing]
    if daemon is not None:
        notes += [f"not gone on with: {why}" for why in daemon.broken.values()]
    return Listing(
        rows=sessions,
        columns=COLUMNS,
        nothing="No kernel runs. Start one with: kmux new",
        notes=notes,
    )
