"""``kmux adopt``: share a kernel that somebody else started."""

from __future__ import annotations

import os
from pathlib import Path

import click

from proxy.cli.table import show_json
from proxy.daemon import client, registry
from proxy.daemon.vocabulary import Adoption
from proxy.errors import ConfigError, Conflict


@click.command("adopt")
@click.argument("connection_file", type=click.Path(dir_okay=False))
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(connection_file: str, name: str | None, as_json: bool) -> None:
    """Share the kernel of CONNECTION_FILE, which somebody else started, as session NAME.

    It is interrupted by message, and never restarted or ended: kmux stop only lets go of it.
    Its widgets are found, also where it is busy. A file that is not there is looked for among
    Jupyter's, as jupyter console --existing does: a part of its name will do. (%connect_info in a
    notebook says which one is its kernel's.)

    \b
    Example:
      kmux adopt kernel-12345.json analysis
    """
    file = _find(connection_file)
    for session in registry.sessions():
        if session.connection_file == file:
            raise Conflict(f"{file} is session {session.name}, which is shared already")
    session = client.running().adopt(Adoption(connection_file=file, name=name))
    if as_json:
        show_json(session)
        return
    click.echo(f"{session.name}: kernel {session.kernel}, which somebody else started")
    click.echo(f"  connection file  {session.connection_file}")
    click.echo(f"  terminal         kmux console {session.name}")


def _find(wish: str) -> str:
    """Return the path of a connection file. Raises :class:`ConfigError` where there is none."""
    if os.path.exists(wish):
        return os.path.abspath(wish)
    from jupyter_client.connect import find_connection_file
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        return str(Path(find_connection_file(wish)).resolve())
    except OSError:
        raise ConfigError(
            f"there is no connection file {wish}, nor one like it in {jupyter_runtime_dir()}"
        ) from None
