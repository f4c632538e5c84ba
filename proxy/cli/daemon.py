"""``kmux daemon``: the process that has the kernels."""

from __future__ import annotations

import click
import msgspec

from proxy.cli.groups import Group
from proxy.cli.table import show_json
from proxy.daemon import client
from proxy.errors import DaemonGone

SUBCOMMANDS = {
    "start": "Start it, if it does not run.",
    "stop": "End it; its kernels go on, and the next one finds them.",
    "restart": "Have another one take its place, after an upgrade of kmux.",
    "status": "Show whether it runs, and where.",
    "logs": "Show what it has logged.",
    "install": "Have systemd start it when you log in.",
    "uninstall": "Have systemd start it no more.",
}
IN_FILES = {
    "logs": "daemon_logs",
    "serve": "daemon_serve",
    "install": "daemon_install",
    "uninstall": "daemon_uninstall",
}
"""Subcommands with a file of their own, imported when they are run."""


@click.group("daemon", cls=Group, summaries=SUBCOMMANDS, files=IN_FILES)
def command() -> None:
    """The daemon has the kernels, so that they outlive windows, editors and terminals.

    It is started by the first command that needs it.

    \b
    Example:
      kmux daemon status
    """


@command.command("start")
def start() -> None:
    """Start the daemon, if it does not run.

    \b
    Example:
      kmux daemon start
    """
    try:
        status = client.Daemon().status()
    except DaemonGone:
        status = client.start()
        click.echo(f"started process {status.pid} on {status.socket}")
    else:
        click.echo(f"process {status.pid} runs already, on {status.socket}")


@command.command("stop")
@click.option("--all", "sessions_too", is_flag=True, help="End all its kernels as well.")
def stop(sessions_too: bool) -> None:
    """End the daemon. Its kernels go on, and the next daemon finds them.

    \b
    Example:
      kmux daemon stop
      kmux daemon stop --all
    """
    if not client.stop(sessions_too=sessions_too):
        click.echo("no daemon runs")


@command.command("restart")
def restart() -> None:
    """Have another daemon take this one's place, with the same kernels, ports and clients.

    \b
    Example:
      kmux daemon restart
    """
    status = client.start(takes_over=True)
    click.echo(f"process {status.pid}, with {status.sessions} sessions, on {status.socket}")


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def status(as_json: bool) -> None:
    """Show whether the daemon runs, and where. Exits with 5 where it does not.

    \b
    Example:
      kmux daemon status
      kmux daemon status --json | jq .pid
    """
    found = client.Daemon().status()
    if as_json:
        show_json(found)
        return
    for name, value in msgspec.structs.asdict(found).items():
        if name != "broken":
            click.echo(f"{name.replace('_', ' '):10}{value}")
    for directory, why in found.broken.items():
        click.echo(f"{'broken':10}{directory}: {why}")
