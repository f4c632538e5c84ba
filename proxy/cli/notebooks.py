"""``kmux notebooks``: which notebook has which kernel."""

from __future__ import annotations

import click
import msgspec

from proxy.cli.listing import Listing, print_once
from proxy.cli.listing import watch as watch_listing
from proxy.daemon import client, registry

COLUMNS = ("notebook", "kernel", "env_source", "status", "peers")


class NotebookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux notebooks``. The field names are the keys of its ``--json``."""

    notebook: str
    """Its path; where a session is for none, the session's name."""
    kernel: str
    env_source: str
    """Where the kernel's environment is from. Empty: it is that of the kernelspec."""
    status: str
    peers: int
    """How many frontends are connected."""
    name: str


@click.command("notebooks")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C; with --json: a line per change.")
def command(as_json: bool, watch: bool) -> None:
    """List the notebooks whose kernels are shared, and how many frontends each has.

    A kernel that is for no notebook is listed by its session's name.

    \b
    Example:
      kmux notebooks
      kmux notebooks --json | jq '.[] | select(.peers == 0)'
    """
    if watch:
        watch_listing(look, as_json=as_json)
    else:
        print_once(look(), as_json=as_json)


def look() -> Listing:
    """Return the notebooks of all sessions, whoever has them."""
    client.revived()
    entries = [
        NotebookEntry(
            notebook=session.notebook or session.name,
            kernel=session.kernel,
            env_source=session.env_source,
            status=session.status,
            peers=session.clients,
            name=session.name,
        )
        for session in registry.sessions()
    ]
    entries.sort(key=lambda entry: entry.notebook)
    return Listing(
        rows=entries,
        columns=COLUMNS,
        nothing="No notebook has a shared kernel. Start one with: kmux new --notebook FILE",
    )
