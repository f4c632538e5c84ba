"""One shared kernel with everybody on it: JupyterLab, a console, qtconsole, a raw client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.frontends.console import Console, open_console
from tests.frontends.kmux_process import Client
from tests.frontends.lab_server import LabServer, Window
from tests.frontends.qtconsole_frontend import QtConsole, open_qtconsole

Frontend = Window | Console | QtConsole | Client


@dataclass(frozen=True)
class Scene:
    """Who is there. JupyterLab's server has started the kernel, through the kernelspec."""

    lab: LabServer
    kernel_id: str
    window: Window
    console: Console
    qtconsole: QtConsole
    client: Client

    @property
    def everybody(self) -> dict[str, Frontend]:
        return {
            "window": self.window,
            "console": self.console,
            "qtconsole": self.qtconsole,
            "client": self.client,
        }

    def another_window(self) -> Window:
        """Open one more JupyterLab window on the same kernel."""
        window = self.lab.window(self.kernel_id)
        window.listen()
        return window


@contextmanager
def on_one_kernel(lab: LabServer, kernelspec: str) -> Iterator[Scene]:
    """Start a shared kernel and bring up all four frontends, until the block is left."""
    kernel_id = lab.start_kernel(kernelspec)
    file = lab.connection_file(kernel_id)
    with ExitStack() as leaving:
        leaving.callback(lab.stop_kernel, kernel_id)
        console = leaving.enter_context(open_console(lab.workplace, file))
        qtconsole = leaving.enter_context(open_qtconsole(lab.workplace, file))
        client = raw_client(file)
        leaving.callback(client.stop_channels)
        client.attach()
        window = lab.window(kernel_id)
        leaving.callback(window.close)
        window.listen()
        qtconsole.ready()
        console.ready(client)
        yield Scene(lab, kernel_id, window, console, qtconsole, client)


def raw_client(file: Path, former: Client | None = None) -> Client:
    """Connect a jupyter_client: a new one, or one that was here before and comes back."""
    client = Client(connection_file=str(file))
    client.load_connection_file()
    if former is not None:
        client.session.session = former.session.session
        # It is one process: its msg_ids go on, and it refuses signatures that it has seen.
        client.session.message_count = former.session.message_count
        client.session.digest_history = former.session.digest_history
    client.start_channels()
    return client
