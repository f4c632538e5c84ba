"""``kmux daemon uninstall``: no systemd user unit any more."""

from __future__ import annotations

import click

from proxy.daemon.systemd import NAME, unit_file
from proxy.errors import ConfigError


@click.command("uninstall")
def command() -> None:
    """Remove the systemd user unit. A daemon that runs goes on until it is stopped.

    \b
    Example:
      kmux daemon uninstall
    """
    path = unit_file()
    try:
        for link in path.parent.glob(f"*.wants/{NAME}"):  # what "systemctl enable" has made
            link.unlink()
        path.unlink()
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}") from None
    except OSError as error:
        raise ConfigError(f"cannot remove {path}: {error.strerror}") from None
    click.echo(f"{path} removed; have systemd forget it with")
    click.echo("  systemctl --user daemon-reload")
