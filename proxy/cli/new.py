"""``kmux new``: a kernel that outlives this terminal."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from proxy.daemon import client
from proxy.daemon.vocabulary import NewSession
from proxy.settings import load


@click.command("new")
@click.argument("name", required=False)
@click.option("--kernel", metavar="K", help="The kernelspec.  [default: as the settings say]")
@click.option("--notebook", type=click.Path(dir_okay=False), help="The notebook that it is for.")
@click.option("--cwd", type=click.Path(exists=True, file_okay=False), help="Where the kernel runs.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(
    name: str | None, kernel: str | None, notebook: str | None, cwd: str | None, as_json: bool
) -> None:
    """Start a kernel in a session of its own, which goes on until it is stopped.

    \b
    Example:
      kmux new analysis
      kmux console analysis
    """
    directory = cwd or (os.path.dirname(notebook) if notebook else "") or "."
    wish = NewSession(
        kernel=kernel or load().default_kernel,
        name=name,
        notebook=os.path.abspath(notebook) if notebook else None,
        cwd=os.path.abspath(directory),
        env=dict(os.environ),
    )
    session = client.running().new(wish)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(session), indent=2).decode())
        return
    file = Path(session.connection_file)
    click.echo(f"{session.name}: kernel {session.kernel}, process {session.pid}")
    click.echo(f"  connection file  {file}")
    click.echo(f"  terminal         kmux console {session.name}")
