"""``kmux stop``: the end of a session, and of its kernel."""

from __future__ import annotations

import contextlib
import time

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find
from proxy.daemon import client, registry
from proxy.daemon.client import STOP_SECONDS, Daemon
from proxy.errors import DaemonSilent, KmuxError

LOOK_SECONDS = 0.02


@click.command("stop")
@click.argument("names", metavar="NAME...", nargs=-1, type=SessionName())
@click.option("--all", "everything", is_flag=True, help="End all of them.")
def command(names: tuple[str, ...], everything: bool) -> None:
    """End a session and its kernel, and wait until it has ended. Its record stays.

    A kernel that was adopted is only let go of.

    \b
    Example:
      kmux stop analysis
      kmux stop --all
    """
    if bool(names) == everything:
        raise click.UsageError("name a session, or say --all.", ctx=click.get_current_context())
    if everything:
        client.revived()
        names = tuple(session.name for session in registry.sessions())
    for name in names:
        holder, session = find(name)
        if session.daemon:
            holder.stop_session(name)
        else:
            _end_run(holder, name)
        click.echo(f"stopped {name}")


def _end_run(holder: Daemon, name: str) -> None:
    """End a ``kmux run``: the process that answers ends as well."""
    with contextlib.suppress(DaemonSilent):
        holder.stop_session(name)
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        with contextlib.suppress(DaemonSilent):  # it ends while it is asked
            if not registry.runs(name):
                return
        if time.monotonic() > deadline:
            raise KmuxError(f"{name} does not end; press Ctrl-C twice where kmux run was started")
        time.sleep(LOOK_SECONDS)
