"""What commands print that remove environments."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from proxy.amounts import sized
from proxy.cli.table import show_json
from proxy.environments.store import Removed


class RemovedEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, as JSON."""

    key: str
    bytes: int
    freed_bytes: int
    """Without the files that uv's cache still has."""


def show_removed(gone: Sequence[Removed], *, as_json: bool) -> None:
    """Say which ones are gone, and what that has freed."""
    if as_json:
        show_json(
            [
                RemovedEnvironment(key=each.key, bytes=each.size.bytes, freed_bytes=each.size.own)
                for each in gone
            ]
        )
        return
    if not gone:
        click.echo("nothing to remove")
        return
    for each in gone:
        click.echo(f"removed {each.key}: {sized(each.size.bytes)}")
    freed = sum(each.size.own for each in gone)
    kept = sum(each.size.bytes for each in gone) - freed
    rest = f"; uv's cache still has {sized(kept)} of it (uv cache prune)" if kept else ""
    click.echo(f"freed {sized(freed)}{rest}")
