"""``kmux daemon logs``: what the daemon did, for a person or as it is."""

from __future__ import annotations

import os

import click

from proxy.cli.log_lines import LEVELS, is_wanted, render
from proxy.cli.names import SessionName
from proxy.daemon.reading_logs import LogReader
from proxy.errors import ConfigError
from proxy.settings.directories import log_file


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="How many of the last lines.",
)
@click.option("--session", type=SessionName(), metavar="NAME", help="Of this session only.")
@click.option("--level", type=click.Choice(LEVELS), help="Of this level or a more severe one only.")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are, for scripts.")
def command(
    follow: bool, lines: int, session: str | None, level: str | None, as_json: bool
) -> None:
    """Show what the daemon has logged.

    \b
    Example:
      kmux daemon logs -n 20
      kmux daemon logs -f --session analysis --level warning
    """
    path = log_file()

    def wanted(line: bytes) -> bool:
        return (session is None and level is None) or is_wanted(line, session, level)

    colour = False if os.environ.get("NO_COLOR") else None  # None: on a terminal

    def show(line: bytes) -> None:
        click.echo(line if as_json else render(line), color=colour)

    with LogReader(path) as reader:
        found = reader.last(lines, wanted)
        for line in found:
            show(line)
        if follow:
            for line in filter(wanted, reader.follow()):
                show(line)
        elif not found and not path.exists():
            raise ConfigError(f"the daemon has logged nothing yet at {path}")
