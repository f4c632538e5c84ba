"""What kmux finds on a machine, made by hand: directories, sockets, sessions, kernels."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from proxy.daemon.state import EndpointState, Kind, SessionDirectory, SessionState
from proxy.doctor.findings import Finding
from proxy.kernels.keeping import KernelDirectory, Launch
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo
from tests.frontends.kmux_process import until

LAUNCH = Launch(kernel_name="fake", interrupt_mode="signal", identity="me")
WAITS = "import time; print('ready', flush=True); time.sleep(600)"


class Machine:
    """A home, and what is in it."""

    def __init__(self, home: Path, runtime: Path) -> None:
        self.home = home
        self.runtime = runtime
        self.data = home / "data"
        self.jupyter_runtime = home / "jupyter-runtime"
        self.kernelspecs = home / "jupyter" / "kernels"
        self.environment = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "IPYTHONDIR": str(home / "ipython"),
            "KMUX_RUNTIME_DIR": str(runtime),
            "KMUX_DATA_DIR": str(self.data),
            "JUPYTER_RUNTIME_DIR": str(self.jupyter_runtime),
            "JUPYTER_PATH": str(home / "jupyter"),
            "JUPYTER_PLATFORM_DIRS": "0",
        }
        self.data.mkdir(mode=0o700)
        self.jupyter_runtime.mkdir()
        self._ending = ExitStack()

    def close(self) -> None:
        """End what was begun."""
        self._ending.close()

    # Sockets

    def socket(self, path: Path, *, is_served: bool = True) -> Path:
        """A Unix socket: on which somebody listens who never answers, or that was left."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        listener = self._ending.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen()
        if not is_served:
            listener.close()
        return path

    def port(self) -> int:
        """A port of this machine that this process listens on."""
        listener = self._ending.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port: int = listener.getsockname()[1]
        return port

    def connection_file(self, name: str, **ports: int) -> Path:
        """A file of kmux's for frontends. Nobody listens on port 1."""
        free = dict.fromkeys(ConnectionInfo().ports, 1)
        path = self.jupyter_runtime / f"kernel-kmux-{name}.json"
        connection.write(path, ConnectionInfo(key="k", **(free | ports)))  # type: ignore[arg-type]
        return path

    # Sessions

    def session(self, name: str, ident: str | None = None, **fields: Any) -> SessionDirectory:
        """A session on the disk, of which a daemon has been."""
        ident = ident or f"id-{name}"
        directory = SessionDirectory(ident)
        state = SessionState(
            id=ident, name=name, kernel_name="python3", key="k", identity="i", **fields
        )
        directory.write(state)
        return directory

    def endpoint(self, file: Path, kind: Kind = "shared", **ports: int) -> EndpointState:
        """A set of ports of a session."""
        info = ConnectionInfo(key="k", **ports)  # type: ignore[arg-type]
        return EndpointState(tag="zmq", kind=kind, file=str(file), info=info)

    def damage(self, directory: SessionDirectory) -> Path:
        """Cut a session's state off."""
        file = directory.path / "session.json"
        file.write_bytes(file.read_bytes()[:50])
        return file

    def kernel(self, path: Path, code: str = WAITS) -> int:
        """A kernel with its keeper, as the daemon starts one. Returns the keeper's pid."""
        directory = KernelDirectory(path)
        directory.output_file.unlink(missing_ok=True)
        output = directory.begin(LAUNCH)
        process = subprocess.Popen(
            [*directory.command(), sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
        )
        os.close(output)
        self._ending.callback(end, process)
        until(lambda: directory.last_output(1) == ["ready"], "the kernel runs")
        return process.pid

    # Kernelspecs

    def kernelspec(self, name: str, argv: list[str], **more: Any) -> Path:
        """An installed kernelspec."""
        directory = self.kernelspecs / name
        directory.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "x", **more}
        (directory / "kernel.json").write_text(json.dumps(spec))
        return directory

    def program(self, name: str, text: str) -> str:
        """A program: a shell's script."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a keeper and its kernel, if they live."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def bad(findings: list[Finding]) -> list[Finding]:
    """What is not as it should be."""
    return [finding for finding in findings if finding.level != "ok"]


def only(findings: list[Finding]) -> Finding:
    """The one thing that is not as it should be."""
    (finding,) = bad(findings)
    return finding


def fixed(finding: Finding) -> str:
    """Do what can be done, and return what that was."""
    assert finding.fix is not None
    return finding.fix()
