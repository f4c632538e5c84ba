"""``kmux lab``: JupyterLab on shared kernels, and the line with which a console joins."""

from __future__ import annotations

import json
import os
import signal
import sys
import webbrowser
from pathlib import Path
from typing import Any

import click
import msgspec

from proxy.cli import console
from proxy.cli.names import SessionName
from proxy.daemon.vocabulary import AUTO
from proxy.errors import ConfigError, NotFound
from proxy.jupyter import kernelspecs
from proxy.jupyter.lab import Lab
from proxy.kernels.specs import SHARED_PREFIX
from proxy.settings import load, runtime_dir


class _Opened(msgspec.Struct, frozen=True):
    """What there is to open."""

    root: Path
    notebook: str | None
    kernel: str


@click.command("lab")
@click.argument("target", required=False, metavar="[NOTEBOOK|NAME]", type=SessionName())
@click.option(
    "--kernel",
    help="An installed kernelspec, or auto: the notebook chooses it, with its environment.  "
    "[default: the notebook's own, or setting default_kernel]",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Install what the notebook lists, whoever has written it; Jupyter trusts it from then on, "
    "with the HTML and JavaScript in its outputs.",
)
@click.option("--port", default=8888, show_default=True, help="If it is taken, the next free one.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
def command(
    target: str | None, kernel: str | None, trust: bool, port: int, no_browser: bool
) -> None:
    """Open JupyterLab with all its kernels shared: on a notebook, on session NAME, or on this
    directory.

    A session that has no notebook gets one, NAME.ipynb, with what it has done so far.

    Where a notebook chooses its kernel and lists packages that nobody here has agreed to, a person
    at a terminal is asked; after a yes, Jupyter trusts the notebook.

    \b
    Example:
      kmux lab analysis.ipynb
      kmux lab analysis        (a session of kmux ps)
    """
    shelf = runtime_dir() / "lab"
    settings = load()
    opened = _opened(target, kernel or settings.default_kernel, shelf / "kernels")
    if opened.notebook is not None and opened.kernel == AUTO:
        from proxy.cli.consent import sign

        sign(opened.root / opened.notebook, trust=trust)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    kernel_name = opened.kernel
    in_daemon = settings.daemon_execution
    lab = Lab(opened.root, port, kernelspecs=shelf, provisions=in_daemon)
    try:
        kernelspecs.install(AUTO, shelf / "kernels", in_daemon=in_daemon)
        if kernel_name == AUTO:
            kernel_name += kernelspecs.SUFFIX
        elif not (in_daemon and lab.is_ours) and not kernel_name.startswith(SHARED_PREFIX):
            kernelspecs.install(kernel_name, shelf / "kernels", in_daemon=in_daemon)
            kernel_name += kernelspecs.SUFFIX
        lab.wait()
        joining = None
        if opened.notebook is not None:
            joining = lab.start_session(opened.notebook, kernel_name)
        page = lab.page(opened.notebook)
        click.echo(f"\n  JupyterLab   {page}")
        if joining is not None:
            program = console.installed() or console.CONSOLE
            click.echo(f"  Join it by   {program} --existing kernel-{joining}.json\n")
        if not no_browser:
            webbrowser.open(page)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # JupyterLab asks whether it is meant
        sys.exit(lab.process.wait())
    finally:
        lab.stop()


def _end(number: int, frame: object) -> None:
    """End by a signal as by an error: JupyterLab is ended as well, and lets go of its kernels."""
    sys.exit(128 + number)


def _opened(target: str | None, kernel: str, shelf: Path) -> _Opened:
    """Find out what is meant: a file, or a session."""
    if target is None:
        return _Opened(Path.cwd(), None, kernel)
    file = Path(target)
    if file.is_file():
        own = _kernel_of(file)
        chosen = kernel if kernel == AUTO else own or kernel
        return _Opened(file.resolve().parent, file.name, chosen)
    if file.suffix == ".ipynb" or os.sep in target:
        raise ConfigError(f"there is no notebook {target}")
    return _session(target, shelf)


def _session(name: str, shelf: Path) -> _Opened:
    """Have a kernelspec that attaches to a session, and a notebook to open it in."""
    from proxy.cli.sessions import find

    try:
        _, session = find(name)
    except NotFound:
        raise NotFound(f"there is no notebook {name}, and no session; see kmux ps") from None
    kernelspecs.install_session(name, session.kernel, session.language, shelf)
    notebook = Path(session.notebook or f"{name}.ipynb")
    if not notebook.is_file():
        notebook = Path(f"{name}.ipynb").absolute()
        if not notebook.is_file():
            _write(notebook, name)
    return _Opened(notebook.resolve().parent, notebook.name, f"{SHARED_PREFIX}{name}")


def _write(notebook: Path, name: str) -> None:
    """Write what a session has done as a notebook, to go on in."""
    from proxy.daemon import recorded
    from proxy.record import export, notebook_file

    try:
        made = export.export(recorded.present(name), _spec(name))
        text = notebook_file.written(made.notebook)
    except ConfigError:  # it is not recorded
        empty = {"cells": [], "metadata": {"kernelspec": _spec(name)}, "nbformat": 4}
        text = json.dumps({**empty, "nbformat_minor": 5})
    notebook_file.create(notebook, text)


def _spec(name: str) -> dict[str, Any]:
    return {"display_name": f"Shared: {name}", "name": f"{SHARED_PREFIX}{name}"}


def _kernel_of(notebook: Path) -> str | None:
    """Return the kernelspec that a notebook names, or "auto", if it is installed: it may be from
    elsewhere."""
    from proxy.kernels import specs

    try:
        metadata = json.loads(notebook.read_bytes())["metadata"]["kernelspec"]
        name = str(metadata["name"]).removesuffix(kernelspecs.SUFFIX)
        if name != AUTO:
            specs.find(name)
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        return None
    return name
