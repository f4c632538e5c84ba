"""``kmux run``: one shared kernel in the foreground, or as a kernelspec's kernel."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from proxy.cli.kernel_options import kernel_options, settings_with, wish
from proxy.cli.names import SessionName
from proxy.settings import Settings

STANDALONE = {
    "connection_file": "-f",
    "existing": "--existing",
    "ipc": "--transport ipc",
    "curve": "--curve",
}
"""Options that the daemon does not know."""


@click.command("run", context_settings={"ignore_unknown_options": True})
@click.option(
    "--standalone/--daemon",
    default=None,
    show_default="setting daemon_execution",
    help="Have the kernel in this process, and end with it; or in the daemon, and leave it there. "
    "-f, --existing, --transport ipc and --curve are standalone.",
)
@click.option(
    "--name",
    type=SessionName(),
    help="What to call the session; one that the daemon has is joined.  [default: the kernel's]",
)
@kernel_options
@click.option(
    "--replay",
    is_flag=True,
    help="Write a second connection file, for recorders and scripts: who subscribes there is sent "
    "first what it missed (comm_opens, and the running cell's output).",
)
@click.option(
    "-f",
    "--connection-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Serve on the ports and key of this connection file. With this, kmux can stand as argv "
    "in a kernelspec. A file that does not exist is written.",
)
@click.option(
    "--existing",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Share the running kernel of this connection file. It is interrupted by message only, and "
    "never restarted or ended by kmux. (In the daemon: kmux adopt.)",
)
@click.option(
    "--transport",
    type=click.Choice(["tcp", "ipc"]),
    default="tcp",
    show_default=True,
    help="For frontends, where there is no connection file yet.",
)
@click.option("--curve", is_flag=True, help="Encrypt the frontends' side (CurveZMQ).")
@click.argument("kernel_arguments", nargs=-1, type=click.UNPROCESSED)
def command(kernel_arguments: tuple[str, ...], **options: Any) -> None:
    """Share one kernel from this terminal, and see who comes and goes.

    Ctrl-C interrupts the kernel. Pressed twice it leaves: the daemon has the kernel, and goes on
    with it. With --standalone, it ends the kernel.

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
    wanted = settings_with(options)
    if _is_standalone(options, wanted):
        _run_here(kernel_arguments, options, wanted)
    from proxy.cli import foreground

    asked = wish(options, name=options["name"], cwd=os.getcwd())
    foreground.share(
        asked,
        any_kernel=options["kernel"] is None,
        replay=options["replay"],
        trust=options["trust"],
    )


def _is_standalone(options: dict[str, Any], wanted: Settings) -> bool:
    """Whether the kernel is to be in this process. Raises :class:`click.UsageError`."""
    chosen: bool | None = options["standalone"]
    given = {**options, "ipc": options["transport"] == "ipc"}
    needed = [name for key, name in STANDALONE.items() if given[key]]
    if needed and chosen is False:
        context = click.get_current_context()
        raise click.UsageError(f"{needed[0]} is not for the daemon; leave --daemon out.", context)
    return bool(needed) or (not wanted.daemon_execution if chosen is None else chosen)


def _run_here(
    kernel_arguments: tuple[str, ...], options: dict[str, Any], wanted: Settings
) -> NoReturn:
    """Be kmux in this process."""
    import trio

    from proxy import logs, standard
    from proxy.session.lifecycle import Policy

    logs.configure()
    chosen = standard.Options(
        kernel=wanted.default_kernel,
        settings=wanted,
        name=options["name"],
        existing=options["existing"],
        connection_file=options["connection_file"],
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
        trust="yes" if options["trust"] else "",
    )
    status = trio.run(standard.run, chosen, click.echo)
    # Everything is closed. Python's own way out would put the signals' default action back
    # first, and the frontend that interrupts a kernel while it ends would see it killed.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
