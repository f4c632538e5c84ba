"""``kmux daemon serve``: be the daemon, in the foreground. ``kmux daemon start`` runs it."""

from __future__ import annotations

import click
import trio

from proxy.daemon import server
from proxy.settings import load


@click.command("serve")
def command() -> None:
    """Be the daemon, in the foreground (for systemd)."""
    trio.run(server.serve, load())
