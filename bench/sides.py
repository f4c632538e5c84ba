"""What is compared: a kernel reached directly, through libzmq's proxy, and through kmux."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import write_connection_file

from bench.client import Client
from bench.frontend import Frontend, attached
from bench.kmux_daemon import RunningDaemon, open_daemon
from bench.processes import Process, running, wait_for_file
from bench.workspace import KERNEL_COMMANDS, Workspace

DIRECT, ZMQ_PROXY, KMUX, JUPYTER = "direct", "zmq_proxy", "kmux", "jupyter_server"
UNRECORDED = "kmux --no-record"
DAEMON = "kmux daemon"
"""Each side is a session of one daemon."""
DAEMON_UNRECORDED = "kmux daemon, no record"


@dataclass(frozen=True)
class Side:
    """A kernel and the way to it. ``proxy`` is the process in between, where there is one."""

    name: str
    client: Client
    info: dict[str, Any]
    proxy: Process | None
    session: str = ""
    """What kmux calls it."""

    @property
    def iopub_url(self) -> str:
        return f"tcp://{self.info['ip']}:{self.info['iopub_port']}"


class Sides:
    """Opens sides; all are closed together. Use it as a context manager."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._stack = ExitStack()
        self._daemon: RunningDaemon | None = None
        self._openers: dict[str, Callable[[str], Side]] = {
            DIRECT: self._open_direct,
            ZMQ_PROXY: self._open_zmq_proxy,
            KMUX: self._open_kmux,
            DAEMON: self._open_in_daemon,
            DAEMON_UNRECORDED: partial(self._open_in_daemon, name=DAEMON_UNRECORDED, record=False),
            UNRECORDED: partial(self._open_kmux, name=UNRECORDED, options=["--no-record"]),
        }

    def __enter__(self) -> Sides:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._stack.callback(self._context.destroy, linger=0)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def open(self, kernel: str, names: Sequence[str]) -> list[Side]:
        """Start one kernel for each side and wait until all of them answer."""
        sides = [self._openers[name](kernel) for name in names]
        for side in sides:
            side.client.wait_until_ready()
        return sides

    def frontend(self, side: Side) -> AbstractContextManager[Frontend]:
        """Attach one more frontend to a side while the context lasts."""
        return attached(self._context, side.info)

    def _open_direct(self, kernel: str) -> Side:
        file = self._stack.enter_context(_kernel(self.workspace, kernel))
        return self._side(DIRECT, file, None)

    def _open_zmq_proxy(self, kernel: str) -> Side:
        kernel_file = self._stack.enter_context(_kernel(self.workspace, kernel))
        file = self.workspace.new_file("zmq-proxy")
        command = [sys.executable, "-m", "bench.zmq_proxy", str(kernel_file), str(file)]
        return self._open_proxy(ZMQ_PROXY, command, file)

    def _open_kmux(self, kernel: str, name: str = KMUX, options: Sequence[str] = ()) -> Side:
        file = self.workspace.new_file("kmux")
        session = file.stem
        command = [sys.executable, "-m", "proxy", "run", "--kernel", kernel, "-f", str(file)]
        return self._open_proxy(name, [*command, "--name", session, *options], file, session)

    def _open_in_daemon(self, kernel: str, name: str = DAEMON, record: bool | None = None) -> Side:
        session = self.daemon.new(kernel, self.workspace.new_file("session").stem, record=record)
        file = Path(session.connection_file)
        return self._side(name, file, self.daemon.process, session.name)

    def reach(self, name: str, file: Path) -> Side:
        """Connect to something that runs already."""
        return self._side(name, file, None)

    @property
    def daemon(self) -> RunningDaemon:
        """The daemon, which is started if it does not run yet."""
        if self._daemon is None:
            self._daemon = self._stack.enter_context(open_daemon(self.workspace))
        return self._daemon

    def _open_proxy(self, name: str, command: list[str], file: Path, session: str = "") -> Side:
        workspace = self.workspace
        process = self._stack.enter_context(
            running(name, command, workspace.environment, workspace.directory)
        )
        wait_for_file(file, process)
        return self._side(name, file, process, session)

    def _side(self, name: str, file: Path, proxy: Process | None, session: str = "") -> Side:
        info = json.loads(file.read_bytes())
        client = Client(self._context, info)
        self._stack.callback(client.close)
        return Side(name, client, info, proxy, session)


@contextlib.contextmanager
def _kernel(workspace: Workspace, kernel: str) -> Iterator[Path]:
    """Run a kernel on a connection file of its own while the context lasts."""
    file = workspace.new_file(kernel)
    write_connection_file(str(file), kernel_name=kernel)
    command = [part.format(connection_file=file) for part in KERNEL_COMMANDS[kernel]]
    with running(kernel, command, workspace.environment, workspace.directory):
        yield file
