"""``kmux logs``: what a kernel's process has written to stdout and stderr."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find_in_daemon
from proxy.daemon.reading_logs import POLL_SECONDS, LogReader


class _Over(Exception):
    """The session has ended, and all that its kernel wrote was read."""


@click.command("logs")
@click.argument("name", type=SessionName())
@click.option("-f", "--follow", is_flag=True, help="Go on with what it writes from now on.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="How many of the last lines.",
)
def command(name: str, follow: bool, lines: int) -> None:
    """Show what the kernel of session NAME has written to its process's stdout and stderr.

    Crashes, warnings of C libraries, and what faulthandler says; not what cells print, which is
    in the record. With -f it ends when the session does. What kmux itself did: kmux daemon logs.

    \b
    Example:
      kmux logs analysis -n 20
      kmux logs analysis -f
    """
    holder, _ = find_in_daemon(name, "what its kernel writes is in its log (--log-level info)")
    path = Path(holder.output_file(name))
    missing = 0

    def wait() -> None:
        """The file is taken away with the session; what is still in it has been read then."""
        nonlocal missing
        missing = 0 if path.exists() else missing + 1
        if missing > 1:
            raise _Over
        time.sleep(POLL_SECONDS)

    with LogReader(path, wait) as reader:
        for line in reader.last(lines, lambda line: True):
            click.echo(line)
        if not follow:
            if reader.unfinished and lines:
                click.echo(reader.unfinished)
            return
        sys.stdout.flush()
        try:
            for line in reader.follow():
                click.echo(line)
        except _Over:
            pass
