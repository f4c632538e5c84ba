"""What commands print: tables, aligned for a person, tab-separated for a pipe; JSON for scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from rich.table import Table


def show_json(value: object) -> None:
    """Print a value for scripts."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show(
    kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], columns: Sequence[str] = ()
) -> None:
    """Print structs of one kind, a line each; the names of these fields, or of all, are titles."""
    columns = columns or [field.name for field in msgspec.structs.fields(kind)]
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(drawn(rows, columns))
        return
    for line in (_titles(columns), *_cells(rows, columns)):
        click.echo("\t".join(line))


def drawn(rows: Sequence[msgspec.Struct], columns: Sequence[str]) -> Table:
    """Return the table as it is on a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for title in _titles(columns):
        table.add_column(title, overflow="fold")  # a path that is cut off helps nobody
    for line in _cells(rows, columns):
        table.add_row(*map(Text, line))  # code is no markup
    return table


def _titles(columns: Sequence[str]) -> list[str]:
    return [name.upper().replace("_", " ") for name in columns]


def _cells(rows: Sequence[msgspec.Struct], columns: Sequence[str]) -> list[list[str]]:
    return [[_shown(getattr(row, name)) for name in columns] for row in rows]


def _shown(value: object) -> str:
    return "" if value is None else str(value)
