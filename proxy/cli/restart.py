"""``kmux restart``: a new kernel in the same session."""

from __future__ import annotations

import time

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find
from proxy.errors import KernelGone

READY_SECONDS = 60.0
LOOK_SECONDS = 0.05


@click.command("restart")
@click.argument("name", type=SessionName())
def command(name: str) -> None:
    """Restart the kernel of session NAME, also a dead one, and wait until it is ready.

    Its frontends stay attached; what they had waiting is answered with an error.

    \b
    Example:
      kmux restart analysis
    """
    holder, _ = find(name)
    session = holder.restart(name)
    deadline = time.monotonic() + READY_SECONDS
    while session.status in ("restarting", "starting"):
        if session.preparing:  # which may take minutes
            deadline = time.monotonic() + READY_SECONDS
        if time.monotonic() > deadline:
            raise KernelGone(f"{name} did not come up in {READY_SECONDS:g} s; see kmux logs {name}")
        time.sleep(LOOK_SECONDS)
        session = holder.session(name)
    if session.status == "dead":
        raise KernelGone(f"{name} did not come up: {session.problem}")
    click.echo(f"restarted {name}: process {session.pid}")
