"""``kmux ps``: what is shared on this machine."""

from __future__ import annotations

import click
import msgspec

from proxy.cli.table import show
from proxy.daemon import registry
from proxy.daemon.vocabulary import SessionInfo

COLUMNS = ("name", "kernel", "language", "status", "clients", "pid", "connection_file")


@click.command("ps")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(as_json: bool) -> None:
    """List the shared kernels of this machine.

    \b
    Example:
      kmux ps
      kmux ps --json | jq -r '.[].connection_file'
    """
    sessions = registry.sessions()
    if as_json:
        encoded = msgspec.json.format(msgspec.json.encode(sessions), indent=2)
        click.echo(encoded.decode())
        return
    if not sessions:
        click.echo("No shared kernel runs. Start one with: kmux run --kernel python3")
        return
    show(SessionInfo, sessions, COLUMNS)
