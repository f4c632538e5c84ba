"""jupyter_server in kmux's place: REST to start a kernel, its WebSocket to talk to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import socket
import struct
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import websocket

from bench import messages
from bench.client import ANSWER_SECONDS, Arrival, Execution, execute_content, is_idle
from bench.errors import BenchError
from bench.messages import Author
from bench.processes import Process, running
from bench.workspace import Workspace

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
START_SECONDS = 60.0
_CHANNEL, _HEADER, _PARENT, _CONTENT = 0, 1, 2, 4
_UINT64 = struct.Struct("<Q")


class JupyterServer:
    """A running server. Made by :func:`open_jupyter_server`."""

    def __init__(self, process: Process, port: int, token: str) -> None:
        self.process = process
        self._port = port
        self._token = token

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the REST API and return its answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self._token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    @contextlib.contextmanager
    def open_kernel(self, kernel: str) -> Iterator[WebSocketClient]:
        """Start a kernel and connect to it; it is shut down at the end."""
        kernel_id = self.request("POST", "kernels", {"name": kernel})["id"]
        client = WebSocketClient(
            f"ws://127.0.0.1:{self._port}/api/kernels/{kernel_id}/channels", self._token
        )
        try:
            client.wait_until_ready()
            yield client
        finally:
            client.close()
            self.request("DELETE", f"kernels/{kernel_id}")


class WebSocketClient:
    """A frontend on a kernel's WebSocket, with the subprotocol that JupyterLab uses."""

    def __init__(self, url: str, token: str) -> None:
        self._author = Author("")
        self._socket = websocket.create_connection(
            f"{url}?session_id={self._author.session}",
            header=[f"Authorization: token {token}"],
            subprotocols=[SUBPROTOCOL],
            timeout=ANSWER_SECONDS,
            sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self.subprotocol = self._socket.subprotocol
        if self.subprotocol != SUBPROTOCOL:
            raise BenchError(f"the server speaks {self.subprotocol!r}, not {SUBPROTOCOL}")

    def close(self) -> None:
        self._socket.close()

    def wait_until_ready(self) -> None:
        """Ask kernel_info until its reply and an iopub message have come."""
        channels: set[bytes] = set()
        msg_id = self._send("kernel_info_request", {})
        deadline = time.monotonic() + START_SECONDS
        while not channels >= {b"shell", b"iopub"} and time.monotonic() < deadline:
            parts = self._receive()
            if msg_id in parts[_PARENT]:
                channels.add(parts[_CHANNEL])

    def execute(self, code: str) -> Execution:
        """Run a cell that has one result."""
        start = time.perf_counter()
        msg_id = self._send("execute_request", execute_content(code))
        first_output = idle = 0.0
        replied = False
        while not (idle and replied):
            parts = self._receive()
            now = time.perf_counter()
            if msg_id not in parts[_PARENT]:
                continue
            if parts[_CHANNEL] == b"shell":
                replied = True
            elif b'"execute_result"' in parts[_HEADER]:
                first_output = first_output or now - start
            elif is_idle(parts[_CONTENT]):
                idle = now - start
        if not first_output:
            raise BenchError(f"{code!r} gave no result")
        return Execution(first_output, idle)

    def burst(self, code: str, count: int) -> Arrival:
        """Run a cell that publishes ``count`` numbered outputs."""
        contents: list[bytes] = []
        start, computed = time.perf_counter(), time.thread_time()
        msg_id = self._send("execute_request", execute_content(code))
        while True:
            parts = self._receive()
            if parts[_CHANNEL] != b"iopub":
                continue
            contents.append(parts[_CONTENT])
            if msg_id in parts[_PARENT] and is_idle(parts[_CONTENT]):
                break
        seconds, computed = time.perf_counter() - start, time.thread_time() - computed
        numbers = [n for n in map(messages.number_of, contents) if n is not None]
        return Arrival(
            count, len(numbers), numbers == sorted(set(numbers)), seconds, computed / seconds
        )

    def _send(self, msg_type: str, content: dict[str, Any]) -> bytes:
        """Send a shell request: a table of offsets, then the parts. Returns its msg_id."""
        _, _, header, parent, metadata, raw_content = self._author.message(msg_type, content)
        parts = (b"shell", header, parent, metadata, raw_content)
        offset = 8 * (len(parts) + 2)
        table = [len(parts) + 1, offset]
        for part in parts:
            offset += len(part)
            table.append(offset)
        self._socket.send_binary(b"".join((*map(_UINT64.pack, table), *parts)))
        return messages.id_of(header)

    def _receive(self) -> list[bytes]:
        """Receive a message: channel, header, parent header, metadata, content, buffers …"""
        data = self._socket.recv()
        assert isinstance(data, bytes)
        (count,) = _UINT64.unpack_from(data)
        offsets = struct.unpack_from(f"<{count}Q", data, 8)
        return [data[a:b] for a, b in itertools.pairwise(offsets)]


@contextlib.contextmanager
def open_jupyter_server(workspace: Workspace) -> Iterator[JupyterServer]:
    """Run ``jupyter server``, without extensions, while the context lasts."""
    token, port = secrets.token_hex(16), _free_port()
    root = workspace.directory / "notebooks"
    root.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
    ]
    directory, environment = workspace.directory, workspace.environment
    with running("jupyter_server", command, environment, directory) as process:
        server = JupyterServer(process, port, token)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                server.request("GET", "status")
                break
            except OSError:
                process.check()
                if time.monotonic() > deadline:
                    raise BenchError("jupyter_server does not answer") from None
                time.sleep(0.1)
        yield server


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
