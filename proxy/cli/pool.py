"""``kmux pool``: environments and kernels that wait for notebooks that ask for none."""

from __future__ import annotations

import click

from proxy.cli.listing import Listing, print_once
from proxy.daemon import client
from proxy.daemon.vocabulary import PoolStatus
from proxy.errors import EnvironmentFailed

COLUMNS = ("kind", "wanted", "ready", "kernels", "oldest", "making")


@click.group("pool")
def command() -> None:
    """The daemon keeps environments ready, a started kernel in each, so that a notebook that asks
    for nothing has its kernel at once.

    \b
    Example:
      kmux pool status
    """


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def status(as_json: bool) -> None:
    """Show what waits, what is being made, and what is in the way.

    \b
    Example:
      kmux pool status
    """
    _show(client.running().pool(), as_json=as_json)


@command.command("warm")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def warm(as_json: bool) -> None:
    """Fill the pool now, and wait for it. (It fills itself, some seconds after the daemon began.)

    \b
    Example:
      kmux pool warm
    """
    found = client.running().warm_pool()
    _show(found, as_json=as_json)
    problems = [f"{each.kind}: {each.problem}" for each in found.kinds if each.problem]
    if problems:
        raise EnvironmentFailed("; ".join(problems))


@command.command("flush")
def flush() -> None:
    """Throw away what waits; the daemon makes it anew, of the packages of today.

    \b
    Example:
      kmux pool flush
    """
    count = client.running().flush_pool()
    click.echo(f"{count} environment{'' if count == 1 else 's'} thrown away")


def _show(found: PoolStatus, *, as_json: bool) -> None:
    notes = [
        f"{each.kind}: {each.problem} (tried again at {each.retry})"
        for each in found.kinds
        if each.problem
    ]
    listing = Listing(rows=found.kinds, columns=COLUMNS, nothing="", notes=notes)
    print_once(listing, as_json=as_json)
