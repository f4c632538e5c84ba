"""``kmux new``: a kernel that outlives this terminal."""

from __future__ import annotations

import os
from typing import Any

import click
import msgspec

from proxy.cli import steps
from proxy.cli.kernel_options import kernel_options, wish
from proxy.cli.table import show_json
from proxy.daemon.vocabulary import AUTO
from proxy.kernel_command import FROM_KERNELSPEC


@click.command("new")
@click.argument("name", required=False)
@click.option("--notebook", type=click.Path(dir_okay=False), help="The notebook that it is for.")
@click.option(
    "--cwd",
    type=click.Path(exists=True, file_okay=False),
    help="Where the kernel runs.  [default: where the notebook is, or here]",
)
@kernel_options
@click.option(
    "--idle-timeout",
    type=click.FloatRange(min=0),
    show_default="setting idle_timeout_hours",
    metavar="HOURS",
    help="End it when no frontend has used it for so long; 0: never.",
)
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    show_default="setting max_age_hours",
    metavar="HOURS",
    help="End it when it is older; 0: never.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(
    name: str | None,
    notebook: str | None,
    cwd: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Start a kernel in a session of its own, which goes on until it is stopped.

    \b
    Example:
      kmux new analysis
      kmux console analysis

    The kernel has this command's environment. Settings: kmux config.
    """
    directory = os.path.abspath(cwd or (os.path.dirname(notebook) if notebook else "") or ".")
    if notebook is not None and options["kernel"] is None:
        options["kernel"] = AUTO
    asked = wish(options, name=name, cwd=directory)
    if notebook is not None:
        asked = msgspec.structs.replace(asked, notebook=os.path.abspath(notebook))
    session = steps.told(asked, trust=options["trust"])
    if as_json:
        show_json(session)
        return
    click.echo(f"{session.name}: kernel {session.kernel}, process {session.pid}")
    if session.env_source != FROM_KERNELSPEC:
        click.echo(f"  environment      {session.env_source}")
    click.echo(f"  connection file  {session.connection_file}")
    click.echo(f"  terminal         kmux console {session.name}")
    if session.problem:
        click.echo(f"  note             {session.problem}")
