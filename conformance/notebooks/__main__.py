"""``python -m conformance.notebooks``: does ``kmux export`` write what nbclient does?"""

from __future__ import annotations

import difflib
import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from conformance.errors import ConformanceError
from conformance.notebooks import found, written
from conformance.notebooks.canonical import canonical
from conformance.notebooks.found import Found
from conformance.notebooks.sides import SIDES, run
from conformance.sources import WORK

SHOWN_LINES = 40
CONTEXT_LINES = 4


@click.command()
@click.argument("names", nargs=-1, metavar="[NOTEBOOK]...")
@click.option("--list", "listed", is_flag=True, help="Only name the notebooks.")
def main(names: tuple[str, ...], listed: bool) -> None:
    """Run notebooks directly by nbclient, and through kmux watched by nbclient and by nobody.

    Prints what differs between what nbclient wrote directly and what kmux exports; exits with 1
    if anything does.

    \b
    Example:
      python -m conformance.notebooks
      python -m conformance.notebooks written/clearing nbclient/Output
    """
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # invalid ones are meant to be
    try:
        chosen = dict(_chosen(names))
        if listed:
            print("\n".join(chosen))
            return
        differing = [name for name, each in chosen.items() if not _compare(name, each)]
    except ConformanceError as error:
        click.echo(f"conformance: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\n{len(chosen)} notebooks, {len(differing)} of them exported otherwise")
    for name, why in found.LEFT_OUT.items():
        print(f"  left out: {name}: {why}")
    sys.exit(1 if differing else 0)


def _chosen(names: tuple[str, ...]) -> Iterator[tuple[str, Found]]:
    WORK.mkdir(exist_ok=True)
    known = {f"written/{name}": Found(nb, WORK) for name, nb in written.notebooks().items()}
    if not names or any(name not in known for name in names):
        known |= found.notebooks()
    for name in names or known:
        if name not in known:
            raise ConformanceError(f"no notebook {name!r}; --list names them")
        yield name, known[name]


def _compare(name: str, each: Found) -> bool:
    """Run a notebook on all sides and print what differs. Returns whether nothing does."""
    begun, equal = time.monotonic(), True
    direct, *others = (canonical(run(each.notebook, side, each.directory)) for side in SIDES)
    for side, other in zip(SIDES[1:], others, strict=True):
        difference = list(_difference(direct, other, side))
        for line in difference[:SHOWN_LINES]:
            print(f"    {line}")
        equal = equal and not difference
    took = time.monotonic() - begun
    cells = len(direct["cells"])
    print(f"{'equal  ' if equal else 'DIFFERS'}  {name}  ({cells} cells, {took:.0f} s)", flush=True)
    return equal


def _difference(direct: Any, other: Any, side: str) -> Iterator[str]:
    lines = [
        json.dumps(each, indent=1, ensure_ascii=False).splitlines() for each in (direct, other)
    ]
    return difflib.unified_diff(*lines, "direct", side, n=CONTEXT_LINES, lineterm="")


if __name__ == "__main__":
    main()
