"""Who serves Jupyter's API of kernels: jupyter_server, jupyter_kernel_gateway, kmux's daemon."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.kmux_daemon import START_SECONDS, RunningDaemon
from bench.processes import running
from bench.sides import JUPYTER
from bench.web_client import WebServer
from bench.workspace import Workspace

GATEWAY = "kernel_gateway"
UNLIMITED = "--ZMQChannelsWebsocketConnection.limit_rate=False"
"""Without it jupyter_server and the gateway drop outputs: what a kernel publishes beyond 1,000
messages a second in any 3 seconds."""


@contextlib.contextmanager
def open_jupyter_server(workspace: Workspace, *options: str) -> Iterator[WebServer]:
    """Run ``jupyter server``, without extensions, while the context lasts."""
    root = workspace.directory / "notebooks"
    root.mkdir(exist_ok=True)
    token, port = secrets.token_hex(16), _free_port()
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", *options),
    ]
    with _open(JUPYTER, command, port, token, workspace) as server:
        yield server


@contextlib.contextmanager
def open_kernel_gateway(workspace: Workspace, *options: str) -> Iterator[WebServer]:
    """Run ``jupyter kernelgateway`` while the context lasts."""
    token, port = secrets.token_hex(16), _free_port()
    command = [
        *(sys.executable, "-m", "kernel_gateway", "--KernelGatewayApp.ip=127.0.0.1"),
        *(f"--KernelGatewayApp.port={port}", "--KernelGatewayApp.port_retries=0"),
        *(f"--KernelGatewayApp.auth_token={token}", *options),
    ]
    with _open(GATEWAY, command, port, token, workspace) as server:
        yield server


@contextlib.contextmanager
def _open(
    name: str, command: list[str], port: int, token: str, workspace: Workspace
) -> Iterator[WebServer]:
    with running(name, command, workspace.environment, workspace.directory) as process:
        server = WebServer(f"http://127.0.0.1:{port}/", token, process)
        server.wait_until_ready()
        yield server


def served_by(daemon: RunningDaemon, workspace: Workspace) -> WebServer:
    """Return the daemon's port. Raises :class:`BenchError` where it serves none."""
    deadline = time.monotonic() + START_SECONDS
    while not (status := daemon.client.status()).url:
        if status.problem or time.monotonic() > deadline:
            raise BenchError(f"the daemon serves no HTTP: {status.problem}")
        time.sleep(0.02)
    file = Path(workspace.environment["KMUX_DATA_DIR"]) / "web.json"
    token = json.loads(file.read_bytes())["token"]
    return WebServer(status.url, token, daemon.process)


def kernel_of(server: WebServer, session: str) -> str:
    """Return the id by which kmux's API knows a session's kernel."""
    kernels: list[dict[str, Any]] = server.request("GET", "kernels")
    for kernel in kernels:
        if kernel["kmux"]["session"] == session:
            return str(kernel["id"])
    raise BenchError(f"the API does not know {session}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
