"""A JupyterLab whose kernels are the daemon's, in whatever environment it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir

from proxy.errors import ConfigError, KernelGone

START_SECONDS = 60.0
PROVISIONER = "--KernelProvisionerFactory.default_provisioner_name=kmux-provisioner"


class Lab:
    """One server. It is ended by :meth:`stop`, and lets go of its kernels then."""

    def __init__(self, root: Path, port: int, *, kernelspecs: Path, provisions: bool) -> None:
        """Start it on a directory of notebooks.

        ``kernelspecs`` is a directory of Jupyter's path that it is to look in as well;
        ``provisions`` is whether all its kernels are to be the daemon's. Raises
        :class:`ConfigError` where it is not installed.
        """
        command, self.is_ours = _command()
        self.token = secrets.token_hex(16)
        arguments = [
            f"--port={port}",
            f"--ServerApp.root_dir={root}",
            "--no-browser",
            "--log-level=WARN",
        ]
        if provisions and self.is_ours:
            arguments.append(PROVISIONER)
        if os.getuid() == 0:
            arguments.append("--allow-root")
        path = os.pathsep.join(filter(None, (str(kernelspecs), os.environ.get("JUPYTER_PATH"))))
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "JUPYTER_TOKEN": self.token, "JUPYTER_PATH": path},
        )
        self.url = ""
        # It is our own, on this machine: no proxy is between, and its certificate may be its own.
        its_own = ssl.create_default_context()
        its_own.check_hostname, its_own.verify_mode = False, ssl.CERT_NONE
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=its_own))
        self._open = urllib.request.build_opener(*handlers).open

    def wait(self) -> None:
        """Wait until it answers, which is after it has written down where it is.

        Raises :class:`KernelGone` where it does not.
        """
        file = Path(jupyter_runtime_dir()) / f"jpserver-{self.process.pid}.json"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                status = self.process.returncode
                raise KernelGone(f"JupyterLab ended with status {status}; its log is above")
            try:
                self.url = json.loads(file.read_bytes())["url"]
                with self._open(f"{self.url}api", timeout=START_SECONDS):
                    return
            except (OSError, ValueError):
                time.sleep(0.05)
        raise KernelGone(f"JupyterLab did not start within {START_SECONDS:.0f} s; its log is above")

    def page(self, notebook: str | None) -> str:
        """Return the address of a notebook's page, with the token."""
        tree = f"/tree/{quote(notebook)}" if notebook else ""
        return f"{self.url}lab{tree}?token={self.token}"

    def start_session(self, notebook: str, kernel: str) -> str:
        """Start a notebook's kernel as the page would, which then opens on that one.

        Returns the kernel's id. Raises :class:`KernelGone`.
        """
        body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": kernel}}
        request = urllib.request.Request(  # noqa: S310 (the URL is our own server's)
            f"{self.url}api/sessions",
            json.dumps(body).encode(),
            {"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        try:
            with self._open(request, timeout=START_SECONDS) as response:
                model: dict[str, Any] = json.load(response)
                return str(model["kernel"]["id"])
        except OSError as error:
            raise KernelGone(f"JupyterLab could not start the kernel: {_reason(error)}") from None

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def _reason(error: OSError) -> str:
    """Say in one line why the server could not: its answer has more than the status."""
    if isinstance(error, urllib.error.HTTPError):
        try:
            said = json.load(error)["message"]
        except (OSError, ValueError, KeyError, TypeError):
            said = ""
        if isinstance(said, str) and said.strip():
            return " ".join(said.split())
    return str(error)


def _command() -> tuple[list[str], bool]:
    """Find JupyterLab: here, or in whatever environment the path leads to.

    Returns how it is started, and whether it is here, so that it knows kmux's provisioner.
    """
    if importlib.util.find_spec("jupyterlab") is not None:
        return [sys.executable, "-m", "jupyterlab"], True
    elsewhere = shutil.which("jupyter-lab")
    if elsewhere is None:
        raise ConfigError("JupyterLab is not installed here; pip install jupyterlab")
    return [elsewhere], False
