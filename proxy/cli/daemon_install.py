"""``kmux daemon install``: the daemon as a systemd user unit."""

from __future__ import annotations

import os
import shutil
import subprocess

import click

from proxy.daemon.systemd import NAME, unit, unit_file
from proxy.errors import ConfigError

ENABLE = (
    ("systemctl", "--user", "daemon-reload"),
    ("systemctl", "--user", "enable", "--now", NAME),
)


@click.command("install")
@click.option("--now", is_flag=True, help="Run the two commands as well.")
def command(now: bool) -> None:
    """Write a systemd user unit, so that the daemon runs whenever you are logged in.

    It is started again where it fails, and goes on with its kernels. This prints the two commands
    with which systemd takes it up. Without a systemd, kmux starts the daemon when it is needed.

    \b
    Example:
      kmux daemon install --now
    """
    path = unit_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit(os.environ))
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"{path} written")
    if not now:
        click.echo("have systemd take it up with")
    for each in ENABLE:
        if now:
            _run(each)
        else:
            click.echo(f"  {' '.join(each)}")


def _run(arguments: tuple[str, ...]) -> None:
    """Raises :class:`ConfigError` with what systemctl said."""
    if shutil.which(arguments[0]) is None:
        raise ConfigError("there is no systemctl here; kmux starts the daemon when it is needed")
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        said = " ".join(result.stderr.split()) or f"status {result.returncode}"
        raise ConfigError(f"{' '.join(arguments)}: {said}")
