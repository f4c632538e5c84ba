"""A daemon of the run's own, in the workspace, which leaves no kernel behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.processes import Process, running
from bench.workspace import Workspace
from proxy.daemon.client import Daemon
from proxy.daemon.http_client import DaemonClient
from proxy.daemon.vocabulary import NewSession, SessionInfo
from proxy.errors import DaemonGone, DaemonSilent
from proxy.kernels.keeping import KernelDirectory

START_SECONDS = 30.0
_LOOK_SECONDS = 0.002


class RunningDaemon:
    """A daemon whose process is measured. Made by :func:`open_daemon`."""

    def __init__(self, workspace: Workspace, process: Process) -> None:
        self.process = process
        self.client = client_of(workspace)
        self._workspace = workspace

    def new(self, kernel: str, name: str, *, record: bool | None = None) -> SessionInfo:
        """Begin a session. Returns when its kernel has answered."""
        wanted = new_session(self._workspace, kernel, name)
        return self.client.new(msgspec.structs.replace(wanted, record=record))


@contextlib.contextmanager
def open_daemon(workspace: Workspace) -> Iterator[RunningDaemon]:
    """Run a daemon while the context lasts; its kernels end with it."""
    command = [sys.executable, "-m", "proxy", "daemon", "serve"]
    directory, environment = workspace.directory, workspace.environment
    with leaving_nothing(workspace), running("daemon", command, environment, directory) as process:
        daemon = RunningDaemon(workspace, process)
        deadline = time.monotonic() + START_SECONDS
        while not is_up(daemon.client):
            process.check()
            if time.monotonic() > deadline:
                raise BenchError("the daemon does not answer")
            time.sleep(_LOOK_SECONDS)
        try:
            yield daemon
        finally:
            _stop_all(daemon.client)


def client_of(workspace: Workspace) -> Daemon:
    """Return the workspace's daemon, whether or not it runs."""
    runtime = Path(workspace.environment["KMUX_RUNTIME_DIR"])
    return Daemon(DaemonClient(runtime / "daemon" / "control.sock"))


def new_session(workspace: Workspace, kernel: str, name: str) -> NewSession:
    """Return what a command would ask for."""
    directory, environment = workspace.directory, workspace.environment
    return NewSession(kernel=kernel, name=name, cwd=str(directory), env=dict(environment))


def is_up(daemon: Daemon) -> bool:
    """Whether it answers."""
    try:
        daemon.status()
    except (DaemonGone, DaemonSilent):
        return False
    return True


@contextlib.contextmanager
def leaving_nothing(workspace: Workspace) -> Iterator[None]:
    """End the daemon of the workspace and all its kernels when the context is left."""
    try:
        yield
    finally:
        _stop_all(client_of(workspace))
        for directory in _session_directories(workspace):
            keeper = KernelDirectory(directory).keeper_pid()
            if keeper is not None:  # of a daemon that was killed: it has a group of its own
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(keeper, signal.SIGKILL)


def _stop_all(daemon: Daemon) -> None:
    with contextlib.suppress(DaemonGone):
        daemon.stop(sessions_too=True)


def _session_directories(workspace: Workspace) -> list[Path]:
    sessions = Path(workspace.environment["KMUX_DATA_DIR"]) / "sessions"
    return list(sessions.iterdir()) if sessions.is_dir() else []
