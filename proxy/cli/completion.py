"""``kmux completion``: the script with which a shell completes kmux's commands and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from proxy.cli import main


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands, options and the names of sessions.

    \b
    Example:
      eval "$(kmux completion bash)"   (in ~/.bashrc; zsh: in ~/.zshrc, after compinit)
      kmux completion fish > ~/.config/fish/completions/kmux.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three"
    completes = kind(main.kmux, {}, main.PROGRAM, f"_{main.PROGRAM.upper()}_COMPLETE")
    click.echo(completes.source(), nl=False)
