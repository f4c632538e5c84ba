"""``kmux export``: a session as a notebook, or its outputs put into one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from proxy.cli.names import SessionName
from proxy.daemon import recorded
from proxy.errors import ConfigError
from proxy.record.loading import WholeRecord

STDOUT = Path("-")


@click.command("export")
@click.argument("name", type=SessionName(recorded.names))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it; - is the standard output. Default: NAME.ipynb.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="NOTEBOOK",
    help="Put the outputs into this notebook instead, each into the cell that it is of, and keep "
    "all else. With -o, the result is written there.",
)
@click.option(
    "--force", is_flag=True, help="Replace a file that is there, or was changed meanwhile."
)
def command(name: str, output: Path | None, into: Path | None, force: bool) -> None:
    """Write what session NAME did as a notebook. It need not run any more; NAME~1 is the one
    before.

    \b
    Example:
      kmux export analysis -o analysis.ipynb
      kmux export analysis --into report.ipynb     (what was printed while the browser was closed)
    """
    if output is None and into is None:
        output = Path(f"{name}.ipynb")
    if into is None:
        assert output is not None
        if output != STDOUT and output.exists() and not force:
            raise ConfigError(f"{output} is there already; --force replaces it, -o names another")
        _export(recorded.present(name), output, force)
    else:
        _merge(name, into, output, force)


def _export(whole: WholeRecord, output: Path, force: bool) -> None:
    from proxy.record import export, notebook_file

    made = export.export(whole, recorded.kernelspec_of(whole))
    _write(output, notebook_file.written(made.notebook), force)
    _say(f"{output}: {_count(made.cells)}", made.missing)


def _merge(name: str, into: Path, output: Path | None, force: bool) -> None:
    from proxy import trust
    from proxy.record import merging, notebook_file

    before = notebook_file.read(into)
    tree = before.tree
    made = merging.merge(tree, recorded.present(name), notebook_file.on_disk)
    text = before.written(tree)
    if output is not None:
        _write(output, text, force)
    elif text != before.text:
        notebook_file.replace(before, text, force=force)
    if trust.is_output_trusted(before.text):  # what ran here is this user's own
        trust.trust(text)
    rest = f"; {_count(made.others)} did not run in {name}" if made.others else ""
    _say(f"{output or into}: the outputs of {_count(made.cells)}{rest}", made.missing)


def _write(output: Path, text: str, force: bool) -> None:
    from proxy.record import notebook_file

    if output == STDOUT:
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    else:
        notebook_file.create(output, text, force=force)


def _say(done: str, missing: list[str]) -> None:
    for line in (done, *missing):
        click.echo(line, err=True)


def _count(cells: int) -> str:
    return f"{cells:,} cell{'' if cells == 1 else 's'}"
