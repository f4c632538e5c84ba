"""``kmux daemon``: the process that has the kernels."""

from __future__ import annotations

import importlib

import click
import msgspec

from proxy.daemon import client
from proxy.errors import DaemonGone

SUBCOMMANDS = {
    "start": "Start it, if it does not run.",
    "stop": "End it; its kernels go on, and the next one finds them.",
    "restart": "Have another one take its place, after an upgrade of kmux.",
    "status": "Show whether it runs, and where.",
    "logs": "Show what it has logged.",
}


class _Group(click.Group):
    """Imports ``daemon_logs`` and ``daemon_serve`` when they are run."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ("logs", "serve", "install"):
            module = importlib.import_module(f"proxy.cli.daemon_{cmd_name}")
            command: click.Command = module.command
            return command
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("daemon", cls=_Group)
def command() -> None:
    """The daemon has the kernels, so that they outlive windows, editors and terminals.

    It is started by the first command that needs it.
    """


@command.command("start")
def start() -> None:
    """Start the daemon, if it does not run."""
    try:
        status = client.Daemon().status()
    except DaemonGone:
        status = client.start()
        click.echo(f"started process {status.pid} on {status.socket}")
    else:
        click.echo(f"process {status.pid} runs already, on {status.socket}")


@command.command("stop")
@click.option("--all", "sessions_too", is_flag=True, help="End all kernels as well.")
def stop(sessions_too: bool) -> None:
    """End the daemon. Its kernels go on, and the next daemon finds them."""
    if not client.stop(sessions_too=sessions_too):
        click.echo("no daemon runs")


@command.command("restart")
def restart() -> None:
    """Have another daemon take this one's place, with the same kernels, ports and clients."""
    status = client.start(takes_over=True)
    click.echo(f"process {status.pid}, with {status.sessions} sessions, on {status.socket}")


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def status(as_json: bool) -> None:
    """Show whether the daemon runs, and where. Exits with 5 where it does not."""
    found = client.Daemon().status()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for name, value in msgspec.structs.asdict(found).items():
        click.echo(f"{name.replace('_', ' '):10}{value}")
