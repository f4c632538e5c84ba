"""``kmux attach``: a connection file for whatever frontend."""

from __future__ import annotations

import click
import msgspec

from proxy.cli.names import SessionName
from proxy.cli.sessions import find, find_in_daemon
from proxy.cli.table import show_json
from proxy.daemon.vocabulary import AttachRequest


@click.command("attach")
@click.argument("name", type=SessionName())
@click.option("--exclusive", "kind", flag_value="exclusive", help="Ports for this frontend alone.")
@click.option(
    "--replay",
    "kind",
    flag_value="replay",
    help="Ports for recorders and scripts: who subscribes there is sent first what it missed: "
    "comm_opens, in order, and the running cell's output so far.",
)
@click.option(
    "--read-only",
    "kind",
    flag_value="read_only",
    help="Ports from which everything is seen, and nothing can be run or changed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object, for scripts.")
def command(name: str, kind: str | None, as_json: bool) -> None:
    """Print the connection file of session NAME. Every frontend that takes one can join with it.

    \b
    Example:
      jupyter qtconsole --existing "$(kmux attach analysis)"
      kmux attach analysis --read-only
    """
    if kind is None:
        _, session = find(name)
    else:
        holder, session = find_in_daemon(name, "only kmux new has sessions with more ports")
        attached = holder.attach(name, msgspec.convert({"kind": kind}, AttachRequest))
        session = msgspec.structs.replace(session, connection_file=attached.connection_file)
    if as_json:
        show_json({**msgspec.structs.asdict(session), "kind": kind or "shared"})
    else:
        click.echo(session.connection_file)
