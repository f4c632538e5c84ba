"""``kmux run``: one shared kernel in the foreground, or as a kernelspec's kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import trio

from proxy import logs, standard


@click.command("run", context_settings={"ignore_unknown_options": True})
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
@click.argument("kernel_arguments", nargs=-1, type=click.UNPROCESSED)
def command(kernel_arguments: tuple[str, ...], **options: Any) -> None:
    """Share one kernel until Ctrl-C is pressed twice.

    \b
    Example:
      kmux run --kernel python3 --name analysis
      jupyter console --existing kernel-kmux-analysis.json   (in another terminal)

    With -f and the file of a frontend, further arguments go to the kernel.
    """
    file = options["connection_file"]
    if kernel_arguments and (file is None or not file.exists()):
        # A frontend adds arguments to argv of its kernelspecs (nbclient does); a person mistypes.
        raise click.NoSuchOption(kernel_arguments[0], ctx=click.get_current_context())
    logs.configure()
    chosen = standard.Options(
        kernel=options["kernel"],
        name=options["name"],
        connection_file=file,
        kernel_arguments=kernel_arguments,
        transport=options["transport"],
        encrypt=options["curve"],
        encrypt_kernel=options["kernel_curve"],
    )
    status = trio.run(standard.run, chosen, click.echo)
    # Everything is closed. Python's own way out would put the signals' default action back
    # first, and the frontend that interrupts a kernel while it ends would see it killed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
