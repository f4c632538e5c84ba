"""``kmux ps``: what is shared on this machine."""

from __future__ import annotations

import sys

import click
import msgspec

from proxy.daemon import registry


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
    columns = [field.name for field in msgspec.structs.fields(registry.SessionInfo)]
    rows = [[str(getattr(session, name) or "") for name in columns] for session in sessions]
    titles = [name.upper().replace("_", " ") for name in columns]
    if not sys.stdout.isatty():
        for row in (titles, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
