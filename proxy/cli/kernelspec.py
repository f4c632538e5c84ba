"""``kmux kernelspec``: offer shared kernels in every frontend's list of kernels."""

from __future__ import annotations

from pathlib import Path

import click

from proxy.cli.names import SessionName
from proxy.errors import ConfigError
from proxy.jupyter import kernelspecs
from proxy.settings import load


@click.group("kernelspec")
def command() -> None:
    """Install "Python 3 (shared)" and the like into Jupyter.

    \b
    Example:
      kmux kernelspec install --kernel python3 --sys-prefix
    """


@command.command("install")
@click.option(
    "--kernel",
    help="An installed kernelspec, or auto: each notebook has a kernel of its own.",
)
@click.option(
    "--attach", "name", type=SessionName(), help="A session: all who choose it share this one."
)
@click.option("--user", is_flag=True, help="For this user (the default).")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment.")
@click.option("--prefix", type=click.Path(path_type=Path), help="Into this prefix.")
def install(
    kernel: str | None, name: str | None, user: bool, sys_prefix: bool, prefix: Path | None
) -> None:
    """Write the shared kernelspec of a kernel, or of a session.

    \b
    Example:
      kmux kernelspec install --kernel python3 --user
      kmux kernelspec install --attach analysis
    """
    if kernel is not None and name is not None:
        raise click.UsageError("--kernel and --attach exclude each other; choose one.")
    into = kernelspecs.directory(user=user, sys_prefix=sys_prefix, prefix=prefix)
    if name is not None:
        target = _install_session(name, into)
    else:
        settings = load(default_kernel=kernel)
        target = kernelspecs.install(
            settings.default_kernel, into, in_daemon=settings.daemon_execution
        )
    click.echo(f"{target.name} installed in {target.parent}")


def _install_session(name: str, into: Path) -> Path:
    from proxy.daemon import registry
    from proxy.daemon.client import running

    running()  # it goes on with sessions that nobody has just now
    session = registry.holder(name).session(name)
    if not session.daemon:
        raise ConfigError(
            f"{name} runs in a terminal (kmux run), and ends with it; frontends can choose those "
            "of the daemon: kmux new"
        )
    return kernelspecs.install_session(name, session.kernel, session.language, into)


@command.command("list")
def list_() -> None:
    """List the shared kernelspecs.

    \b
    Example:
      kmux kernelspec list
    """
    found = kernelspecs.installed()
    if not found:
        click.echo("None is installed. Install one with: kmux kernelspec install")
    for path in found:
        click.echo(f"{path.name}\t{path}")


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a shared kernelspec, wherever it is installed.

    \b
    Example:
      kmux kernelspec remove python3-shared
    """
    for path in kernelspecs.remove(name):
        click.echo(f"{path} removed")
