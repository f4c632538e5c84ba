"""``kmux lab``: JupyterLab on a shared kernel, and the line with which a console joins it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from jupyter_core.paths import jupyter_runtime_dir

from proxy.errors import ConfigError, KernelGone
from proxy.jupyter import kernelspecs
from proxy.settings import load

START_SECONDS = 60.0


@click.command("lab")
@click.argument("notebook", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--kernel", default="python3", show_default=True, help="An installed kernelspec.")
@click.option("--port", default=8888, show_default=True, help="If it is taken, the next free one.")
def command(notebook: Path, kernel: str, port: int) -> None:
    """Open a notebook in JupyterLab, on a kernel that other frontends can join.

    \b
    Example:
      kmux lab analysis.ipynb
    """
    try:
        import jupyterlab  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        raise ConfigError("JupyterLab is not installed here; pip install jupyterlab") from None
    kernelspecs.install(
        kernel,
        kernelspecs.directory(user=False, sys_prefix=True, prefix=None),
        in_daemon=load().daemon_execution,
    )
    token = secrets.token_hex(16)
    root = notebook.resolve().parent
    arguments = [
        f"--port={port}",
        f"--ServerApp.root_dir={root}",
        "--no-browser",
        "--log-level=WARN",
    ]
    if os.getuid() == 0:
        arguments.append("--allow-root")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *arguments],
        env={**os.environ, "JUPYTER_TOKEN": token},
    )
    try:
        running = _wait_for(server)
        path = notebook.name
        kernel_id = _start_session(running["url"], token, path, f"{kernel}{kernelspecs.SUFFIX}")
        console = Path(sys.executable).parent / "jupyter"
        click.echo(f"\n  JupyterLab   {running['url']}lab/tree/{quote(path)}?token={token}")
        click.echo(f"  Join it by   {console} console --existing kernel-{kernel_id}.json\n")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # JupyterLab asks whether it is meant
        sys.exit(server.wait())
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()


def _end(number: int, frame: object) -> None:
    """End by a signal as by an error: JupyterLab is ended as well, and lets go of its kernels."""
    sys.exit(128 + number)


def _wait_for(server: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait until the server has written where it listens; return that file."""
    file = Path(jupyter_runtime_dir()) / f"jpserver-{server.pid}.json"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise KernelGone(f"JupyterLab ended with status {server.returncode}; its log is above")
        try:
            running: dict[str, Any] = json.loads(file.read_bytes())
            return running
        except (OSError, ValueError):
            time.sleep(0.05)
    raise KernelGone(f"JupyterLab did not start within {START_SECONDS:.0f} s; its log is above")


def _start_session(url: str, token: str, path: str, kernel: str) -> str:
    """Start the notebook's kernel as JupyterLab would; it then opens the page on that one."""
    body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
    request = urllib.request.Request(  # noqa: S310 (the URL is our own server's)
        f"{url}api/sessions",
        json.dumps(body).encode(),
        {"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS) as response:  # noqa: S310
                kernel_id: str = json.load(response)["kernel"]["id"]
                return kernel_id
        except urllib.error.HTTPError as error:
            raise KernelGone(f"JupyterLab could not start the kernel: {error}") from None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
