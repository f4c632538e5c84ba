"""``kmux run``: one shared kernel in the foreground, or as a kernelspec's kernel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import trio

from proxy import logs, standard


@click.command("run")
@click.option("--kernel", default="python3", show_default=True, help="An installed kernelspec.")
@click.option("--name", help="What to call the session. Default: the kernel's name.")
@click.option(
    "-f",
    "--connection-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Serve on the ports and key of this connection file. With this, kmux can stand as argv "
    "in a kernelspec. A file that does not exist is written.",
)
@click.option(
    "--transport",
    type=click.Choice(["tcp", "ipc"]),
    default="tcp",
    show_default=True,
    help="For frontends, where there is no connection file yet.",
)
@click.option("--curve", is_flag=True, help="Encrypt the frontends' side (CurveZMQ).")
@click.option("--kernel-curve", is_flag=True, help="Encrypt the kernel's side, where it can.")
def command(**options: Any) -> None:
    """Share one kernel until Ctrl-C is pressed twice.

    \b
    Example:
      kmux run --kernel python3 --name analysis
      jupyter console --existing kernel-kmux-analysis.json   (in another terminal)
    """
    logs.configure()
    chosen = standard.Options(
        kernel=options["kernel"],
        name=options["name"],
        connection_file=options["connection_file"],
        transport=options["transport"],
        encrypt=options["curve"],
        encrypt_kernel=options["kernel_curve"],
    )
    sys.exit(trio.run(standard.run, chosen, click.echo))
