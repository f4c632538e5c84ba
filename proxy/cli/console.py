"""``kmux console``: Jupyter's terminal console on a session."""

from __future__ import annotations

import os
import shutil
import sys

import click

from proxy.cli.names import SessionName
from proxy.cli.sessions import find
from proxy.errors import ConfigError

CONSOLE = "jupyter-console"
"""What ``jupyter console`` runs."""


@click.command("console", context_settings={"ignore_unknown_options": True})
@click.argument("name", type=SessionName())
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(name: str, arguments: tuple[str, ...]) -> None:
    """Join session NAME with a terminal console. Ctrl-D leaves it; the kernel goes on.

    What runs is jupyter console, which gets further arguments. It does not interrupt a kernel
    that it did not start: kmux interrupt NAME does, from another terminal.

    \b
    Example:
      kmux console analysis
      kmux console analysis --simple-prompt
    """
    _, session = find(name)
    program = installed()
    if program is None:
        raise ConfigError("jupyter console is not installed; pip install jupyter_console")
    os.execv(program, [program, "--existing", session.connection_file, *arguments])  # noqa: S606


def installed() -> str | None:
    """Return the console's program: the one beside kmux, else the one on the path, if any."""
    beside = os.path.join(os.path.dirname(sys.executable), CONSOLE)
    return beside if os.access(beside, os.X_OK) else shutil.which(CONSOLE)
