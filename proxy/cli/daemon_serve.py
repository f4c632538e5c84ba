"""``kmux daemon serve``: be the daemon, in the foreground. ``kmux daemon start`` runs it."""

from __future__ import annotations

from functools import partial

import click
import trio

from proxy.daemon import server
from proxy.settings import load


@click.command("serve")
@click.option("--take-over", is_flag=True, help="Have the daemon that runs end, and go on with it.")
def command(take_over: bool) -> None:
    """Be the daemon, in the foreground (for systemd)."""
    trio.run(partial(server.serve, load(), takes_over=take_over))
