"""``kmux env prune``: environments that nobody has used for long."""

from __future__ import annotations

import time

import click

from proxy.amounts import bytes_of, sized
from proxy.cli.environments_in_use import in_use, waiting
from proxy.cli.removed import show_removed
from proxy.settings import load

DAY_SECONDS = 86400


def _size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    try:
        return bytes_of(value) if value is not None else None
    except ValueError:
        what = f"{value!r} is no size; one is written like 500MB, 20GB or 2GiB"
        raise click.BadParameter(what) from None


@click.command("prune")
@click.option(
    "--max-size",
    callback=_size,
    metavar="SIZE",
    show_default="setting keep_environment_bytes",
    help="Remove as many as it takes for the rest to have no more, like 500MB or 20GB.",
)
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Remove those that were not used for so long, whatever their size.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, for scripts.")
def command(max_size: int | None, older_than: float | None, as_json: bool) -> None:
    """Remove environments, those first that were not used for the longest time.

    One that a kernel runs in is not removed. What processes left that were killed while they made
    one goes as well.

    \b
    Example:
      kmux env prune --older-than 30
      kmux env prune --max-size 5GB
    """
    from proxy.environments import chosen

    limit = max_size if max_size is not None else load().keep_environment_bytes or None
    store = chosen.store()
    used = {*in_use(), *waiting()}
    unused_since = time.time() - older_than * DAY_SECONDS if older_than is not None else 0.0
    gone = store.prune(limit, used, unused_since=unused_since)
    store.sweep()
    show_removed(gone, as_json=as_json)
    rest = sum(each.size().bytes for each in store.all()) if limit is not None else 0
    if limit is not None and rest > limit and not as_json:
        click.echo(f"{sized(rest)} are left: kernels run in them", err=True)
