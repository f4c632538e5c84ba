"""Tables on the terminal: aligned for a person, tab-separated for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import msgspec


def show(
    kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], columns: Sequence[str] = ()
) -> None:
    """Print structs of one kind, a line each; the names of these fields, or of all, are titles."""
    columns = columns or [field.name for field in msgspec.structs.fields(kind)]
    cells = [[str(_shown(getattr(row, name))) for name in columns] for row in rows]
    titles = [name.upper().replace("_", " ") for name in columns]
    if not sys.stdout.isatty():
        for line in (titles, *cells):
            click.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, header_style="bold")
    for line in cells:
        table.add_row(*map(Text, line))  # code is no markup
    Console().print(table)


def _shown(value: object) -> object:
    return "" if value is None else value
