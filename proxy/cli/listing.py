"""A list of what there is now: printed once, or for as long as somebody watches it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import msgspec

from proxy.cli.table import drawn, show, show_json
from proxy.errors import DaemonSilent

if TYPE_CHECKING:
    from rich.console import RenderableType

LOOK_SECONDS = 1.0


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What there is."""

    rows: Sequence[msgspec.Struct]
    """All that is known of each, for JSON."""
    columns: Sequence[str]
    """What a person sees of it."""
    nothing: str
    """What a person is told where there is none."""
    notes: Sequence[str] = ()
    """What a person should know besides, a line each."""


def print_once(listing: Listing, *, as_json: bool) -> None:
    """Print it. The notes go to stderr: what reads the list does not take them for a row."""
    if as_json:
        show_json(listing.rows)
    elif listing.rows:
        show(type(listing.rows[0]), listing.rows, listing.columns)
    else:
        click.echo(listing.nothing)
    if not as_json:
        for note in listing.notes:
            click.echo(note, err=True)


def watch(look: Callable[[], Listing], *, as_json: bool) -> None:
    """Look again and again until Ctrl-C: redrawn in place on a terminal, else whenever it changes.

    As JSON it is a line for each change.
    """
    try:
        if as_json:
            _print_changes(look, lambda listing: click.echo(msgspec.json.encode(listing.rows)))
        elif sys.stdout.isatty():
            _redraw(look)
        else:
            _print_changes(look, lambda listing: print_once(listing, as_json=False))
    except KeyboardInterrupt:
        pass


def _looks(look: Callable[[], Listing]) -> Iterator[Listing]:
    """Look for ever. A daemon that is being replaced is looked at again."""
    while True:
        with suppress(DaemonSilent):
            yield look()
        time.sleep(LOOK_SECONDS)


def _print_changes(look: Callable[[], Listing], tell: Callable[[Listing], None]) -> None:
    told: Listing | None = None
    for listing in _looks(look):
        if listing != told:
            told = listing
            tell(listing)
            sys.stdout.flush()


def _redraw(look: Callable[[], Listing]) -> None:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        for listing in _looks(look):
            live.update(_drawn(listing), refresh=True)


def _drawn(listing: Listing) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    notes = map(Text, listing.notes)
    if not listing.rows:
        return Group(Text(listing.nothing), *notes)
    return Group(drawn(listing.rows, listing.columns), *notes)
