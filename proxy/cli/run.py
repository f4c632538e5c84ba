"""``kmux run``: one shared kernel in the foreground, or as a kernelspec's kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
import trio

from proxy import logs, settings, standard
from proxy.session.lifecycle import Policy


@click.command("run", context_settings={"ignore_unknown_options": True})
@click.option("--kernel", show_default="setting default_kernel", help="An installed kernelspec.")
@click.option(
    "--existing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Share the running kernel of this connection file. It is interrupted by message only, and "
    "never restarted or ended by kmux.",
)
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
@click.option(
    "--restart",
    type=click.Choice(["allow", "owner", "refuse"]),
    show_default="setting restart",
    help="Who may restart the kernel, for everybody: any frontend, the one that runs kmux as its "
    "kernel, or none.",
)
@click.option(
    "--prompts",
    type=click.Choice(["wait", "anyone"]),
    show_default="setting prompts",
    help="An input() of a frontend that is away waits for it, or anyone may answer.",
)
@click.option(
    "--away",
    type=click.FloatRange(min=0),
    show_default="setting away_hours",
    metavar="HOURS",
    help="How long a frontend that vanished may come back, before its waiting cells, prompts and "
    "comms are let go of.",
)
@click.option(
    "--replay",
    is_flag=True,
    help="Write a second connection file, for recorders and scripts: who subscribes there is sent "
    "first what it missed (comm_opens, and the running cell's output).",
)
@click.option(
    "--record/--no-record",
    default=None,
    show_default="setting record",
    help="Keep on the disk what happens: cells, outputs, widgets (kmux export, kmux outputs).",
)
@click.argument("kernel_arguments", nargs=-1, type=click.UNPROCESSED)
def command(kernel_arguments: tuple[str, ...], **options: Any) -> None:
    """Share one kernel until Ctrl-C is pressed twice.

    \b
    Example:
      kmux run --kernel python3 --name analysis
      jupyter console --existing kernel-kmux-analysis.json   (in another terminal)

    With -f and the file of a frontend, further arguments go to the kernel. Settings: kmux config.
    """
    file = options["connection_file"]
    if kernel_arguments and (file is None or not file.exists()):
        # A frontend adds arguments to argv of its kernelspecs (nbclient does); a person mistypes.
        raise click.NoSuchOption(kernel_arguments[0], ctx=click.get_current_context())
    logs.configure()
    wanted = settings.load(
        default_kernel=options["kernel"],
        restart=options["restart"],
        prompts=options["prompts"],
        away_hours=options["away"],
        record=options["record"],
    )
    chosen = standard.Options(
        kernel=wanted.default_kernel,
        name=options["name"],
        existing=options["existing"],
        connection_file=file,
        kernel_arguments=kernel_arguments,
        transport=options["transport"],
        encrypt=options["curve"],
        encrypt_kernel=options["kernel_curve"],
        policy=Policy(
            restart=wanted.restart,
            prompts=wanted.prompts,
            away_seconds=wanted.away_hours * 3600,
        ),
        record=wanted.record,
        replay=options["replay"],
    )
    status = trio.run(standard.run, chosen, click.echo)
    # Everything is closed. Python's own way out would put the signals' default action back
    # first, and the frontend that interrupts a kernel while it ends would see it killed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
