"""``kmux env``: the environments of notebooks."""

from __future__ import annotations

import click

from proxy.cli.groups import Group

SUBCOMMANDS = {
    "explain": "Show which environment a notebook gets, and why.",
    "prepare": "Make it now, before a kernel needs it.",
    "list": "Show the environments that there are.",
    "remove": "Remove some of them.",
    "prune": "Remove what was not used for long.",
}


@click.group(
    "env",
    cls=Group,
    summaries=SUBCOMMANDS,
    files={name: f"env_{name}" for name in SUBCOMMANDS},
)
def command() -> None:
    """A notebook's kernel runs in an environment that has what the notebook asks for.

    It is made when it is needed first, and shared by all that ask for the same.

    \b
    Example:
      kmux env explain report.ipynb
    """
