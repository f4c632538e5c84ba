"""JupyterLab's servers on one machine with one daemon, and a test's notebooks and windows there."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser

from tests.browser.ways import ENVIRONMENT, Way
from tests.browser.window import SIZE, Window
from tests.frontends.kmux_process import Daemon, Workplace
from tests.frontends.lab_server import LabServer, lab_server

ARTEFACTS = Path(__file__).parents[2] / "build" / "browser"
QUIET_ARGUMENTS = (
    "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
)
"""Else JupyterLab's server looks for what is new, on other machines."""
USER_SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Of two windows on one notebook, the one that saves later would ask about the other's changes.
    "docmanager-extension/plugin": {"autosave": False},
    # A kernel that completes for the first time imports jedi.
    "completer-extension/manager": {"providerTimeout": 15_000},
}
WIDGETS_EXTENSION = "@jupyter-widgets/jupyterlab-manager"


class Lab:
    """A machine of a user's: the daemon, and JupyterLab's servers in one directory of notebooks."""

    def __init__(self, workplace: Workplace, daemon: Daemon, way: Way, stack: ExitStack) -> None:
        self.workplace = workplace
        self.daemon = daemon
        self.way = way
        self._stack = stack
        self._servers: dict[str, LabServer] = {}
        home = workplace.root / ".jupyter" / "lab" / "user-settings" / "@jupyterlab"
        for name, settings in USER_SETTINGS.items():
            file = home / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        command = [sys.executable, "-m", "ipykernel_launcher", "-f"]
        # The widgets of its kernels do not repeat what a frontend has told them.
        silent = {"JUPYTER_WIDGETS_ECHO": "0"}
        workplace.kernelspec("python3-silent", command, "python", env=silent)
        for kernel in "python3-silent", "auto":
            daemon.kmux("kernelspec", "install", "--kernel", kernel, "--user", **ENVIRONMENT)

    def server(self, name: str = "first") -> LabServer:
        """One of the servers, which goes on for the other tests. "plain" knows no widgets."""
        if name not in self._servers:
            environment = {}
            if name == "plain":
                environment["JUPYTER_CONFIG_PATH"] = str(self._without_widgets())
            self._servers[name] = self._stack.enter_context(self.start(**environment))
        return self._servers[name]

    @contextmanager
    def start(self, *, port: int = 0, **environment: str) -> Iterator[LabServer]:
        """Have another server, until the block is left."""
        arguments = (*QUIET_ARGUMENTS, *self.way.arguments(self.daemon))
        environment |= ENVIRONMENT
        with lab_server(self.workplace, *arguments, port=port, **environment) as server:
            yield server

    def _without_widgets(self) -> Path:
        place = self.workplace.root / "without-widgets"
        (place / "labconfig").mkdir(parents=True)
        page_config = {"disabledExtensions": {WIDGETS_EXTENSION: True}}
        (place / "labconfig" / "page_config.json").write_text(json.dumps(page_config))
        return place

    def logs(self) -> str:
        """What the servers and the daemon have logged."""
        daemon = sorted((self.workplace.root / "data").glob("*.log"))
        files = [*daemon, *sorted(self.workplace.root.glob("lab-*.log"))]
        return "\n".join(f"=== {file.name}\n{file.read_text()}" for file in files)

    def end_sessions(self) -> None:
        """End what a test has left; a server that only saw its kernel end would begin another."""
        for server in self._servers.values():
            for session in server.request("GET", "api/sessions"):
                server.request("DELETE", f"api/sessions/{session['id']}")
        for session in self.daemon.json("ps"):
            self.daemon.kmux("stop", session["name"])


class Desk:
    """What one test has in front of it: a notebook, and windows on it."""

    def __init__(self, lab: Lab, browser: Browser, test: str) -> None:
        self.lab = lab
        self.windows: list[Window] = []
        self._browser = browser
        self._test = test
        self.notebook = f"{test}.ipynb"

    @property
    def file(self) -> Path:
        return self.lab.workplace.root / self.notebook

    def write(self, *cells: str, kernel: str = "python3", **metadata: Any) -> None:
        """Write the notebook; a last cell is for questions to the kernel."""
        made = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in (*cells, "")]
        )
        name = self.lab.way.auto if kernel == "auto" else self.lab.way.kernel.format(kernel)
        made.metadata.update(metadata)
        made.metadata["kernelspec"] = {"name": name, "display_name": name, "language": "python"}
        nbformat.write(made, self.file)

    def window(self, server: str | LabServer = "first") -> Window:
        """Open a window of a server, on the notebook."""
        if isinstance(server, str):
            server = self.lab.server(server)
        name = f"{self._test}-{'abcdefgh'[len(self.windows)]}"
        window = Window(server, self._browser.new_context(viewport=SIZE), name)  # type: ignore[arg-type]
        self.windows.append(window)
        window.open(self.notebook)
        return window

    @property
    def session(self) -> dict[str, Any]:
        """What kmux says of the one session that there is."""
        (found,) = self.lab.daemon.json("ps")
        return dict(found)

    def photograph(self, moment: str) -> None:
        """Keep what the windows show, for somebody to look at."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        for window in self.windows:
            if not window.page.is_closed():
                window.photograph(ARTEFACTS / f"{window.name}-{moment}.png")

    def note(self, measured: str) -> None:
        """Keep a figure, beside the pictures."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        (ARTEFACTS / f"{self._test}.txt").write_text(measured + "\n")

    def keep_logs(self) -> None:
        """Keep what says why a test failed."""
        self.photograph("failed")
        for window in self.windows:
            window.traffic.write(ARTEFACTS / f"{window.name}-page.log")
        (ARTEFACTS / f"{self._test}-servers.log").write_text(self.lab.logs())
