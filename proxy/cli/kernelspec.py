"""``kmux kernelspec``: offer shared kernels in every frontend's list of kernels."""

from __future__ import annotations

from pathlib import Path

import click

from proxy.jupyter import kernelspecs


@click.group("kernelspec")
def command() -> None:
    """Install "Python 3 (shared)" and the like into Jupyter.

    \b
    Example:
      kmux kernelspec install --kernel python3 --sys-prefix
    """


@command.command("install")
@click.option("--kernel", default="python3", show_default=True, help="An installed kernelspec.")
@click.option("--user", is_flag=True, help="For this user (the default).")
@click.option("--sys-prefix", is_flag=True, help="Into this Python environment.")
@click.option("--prefix", type=click.Path(path_type=Path), help="Into this prefix.")
def install(kernel: str, user: bool, sys_prefix: bool, prefix: Path | None) -> None:
    """Write the shared kernelspec of a kernel.

    \b
    Example:
      kmux kernelspec install --kernel python3 --user
    """
    into = kernelspecs.directory(user=user, sys_prefix=sys_prefix, prefix=prefix)
    target = kernelspecs.install(kernel, into)
    click.echo(f"{target.name} installed in {target.parent}")


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
