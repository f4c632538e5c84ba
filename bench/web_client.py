"""Jupyter's API of kernels on a port, whoever serves it: REST to start one, a WebSocket to talk."""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from bench import messages
from bench.client import ANSWER_SECONDS, Arrival, Execution, execute_content, is_idle
from bench.errors import BenchError
from bench.messages import Author
from bench.processes import Process
from bench.raw_websocket import RawWebSocket

SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
START_SECONDS = 60.0
CHANNEL, HEADER, PARENT, CONTENT = 0, 1, 2, 4
"""Where the parts of a message are."""
_UINT64 = struct.Struct("<Q")
_IDLE = b'"idle"'


class WebServer:
    """A running server: its address (``http://HOST:PORT/``), a token, and the process."""

    def __init__(self, url: str, token: str, process: Process) -> None:
        self.process = process
        self._url = url
        self._token = token

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the REST API and return its answer."""
        request = urllib.request.Request(
            f"{self._url}api/{path}".rstrip("/"),
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self._token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def wait_until_ready(self) -> None:
        """Wait until it answers. Raises :class:`BenchError` where it does not."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.request("GET", "")
                return
            except OSError:
                self.process.check()
                if time.monotonic() > deadline:
                    raise BenchError(f"{self.process.name} does not answer") from None
                time.sleep(0.1)

    @contextlib.contextmanager
    def open_kernel(self, kernel: str) -> Iterator[WebClient]:
        """Start a kernel and connect to it; it is shut down at the end (kmux's: with kmux)."""
        with self.start_kernel(kernel) as kernel_id, self.connected(kernel_id) as client:
            yield client

    @contextlib.contextmanager
    def start_kernel(self, kernel: str) -> Iterator[str]:
        """Start a kernel, and yield its id; it is shut down at the end."""
        kernel_id = self.request("POST", "kernels", {"name": kernel})["id"]
        try:
            yield kernel_id
        finally:
            self.request("DELETE", f"kernels/{kernel_id}")

    @contextlib.contextmanager
    def connected(self, kernel_id: str) -> Iterator[WebClient]:
        """Connect to a kernel while the context lasts.

        Only while something is received pings are answered: a server ends what is silent for long.
        """
        client = WebClient(self.channels(kernel_id), self._token)
        try:
            client.wait_until_ready()
            yield client
        finally:
            client.close()

    def channels(self, kernel_id: str) -> str:
        """Return the address of a kernel's WebSocket."""
        return f"ws{self._url.removeprefix('http')}api/kernels/{kernel_id}/channels"

    @property
    def token(self) -> str:
        return self._token


class WebClient:
    """A frontend on a kernel's WebSocket, with the subprotocol that JupyterLab uses."""

    def __init__(self, channels: str, token: str) -> None:
        self._author = Author("")
        self._socket = connect(channels, token, self._author.session)
        self.subprotocol = self._socket.subprotocol

    def close(self) -> None:
        self._socket.close()

    def wait_until_ready(self) -> None:
        """Ask kernel_info until its reply and an iopub message have come."""
        channels: set[bytes] = set()
        msg_id = self._send("kernel_info_request", {})
        deadline = time.monotonic() + START_SECONDS
        while not channels >= {b"shell", b"iopub"} and time.monotonic() < deadline:
            parts = self._receive()
            if msg_id in parts[PARENT]:
                channels.add(parts[CHANNEL])

    def execute(self, code: str, *, acknowledge_at_once: bool = False) -> Execution:
        """Run a cell that has one result."""
        self._socket.acknowledges_at_once = acknowledge_at_once
        start = time.perf_counter()
        msg_id = self._send("execute_request", execute_content(code))
        first_output = idle = 0.0
        replied = False
        while not (idle and replied):
            parts = self._receive()
            now = time.perf_counter()
            if msg_id not in parts[PARENT]:
                continue
            if parts[CHANNEL] == b"shell":
                replied = True
            elif b'"execute_result"' in parts[HEADER]:
                first_output = first_output or now - start
            elif is_idle(parts[CONTENT]):
                idle = now - start
        if not first_output:
            raise BenchError(f"{code!r} gave no result")
        return Execution(first_output, idle)

    def burst(self, code: str, count: int) -> Arrival:
        """Run a cell that publishes ``count`` numbered outputs."""
        payloads: list[bytes] = []
        start, computed = time.perf_counter(), time.thread_time()
        msg_id = self._send("execute_request", execute_content(code))
        ended = False
        while not ended:
            came = self._socket.receive_until(_IDLE)
            payloads += came
            # Where nothing comes any more its end was lost.
            ended = not came or any(_IDLE in each and msg_id in each for each in came)
        seconds, computed = self._socket.heard_at - start, time.thread_time() - computed
        own = (parts for parts in map(split, payloads) if msg_id in parts[PARENT])
        found = (messages.number_of(parts[CONTENT]) for parts in own)
        numbers = [number for number in found if number is not None]
        return Arrival(
            count, len(numbers), numbers == sorted(set(numbers)), seconds, computed / seconds
        )

    def _send(self, msg_type: str, content: dict[str, Any]) -> bytes:
        """Send a shell request. Returns its msg_id."""
        _, _, header, parent, metadata, raw_content = self._author.message(msg_type, content)
        self._socket.send(_joined((b"shell", header, parent, metadata, raw_content)))
        return messages.id_of(header)

    def _receive(self) -> list[bytes]:
        return split(self._socket.receive())


def connect(channels: str, token: str, session: str) -> RawWebSocket:
    """Open the WebSocket of a kernel. Raises :class:`BenchError`."""
    websocket = RawWebSocket(
        f"{channels}?session_id={session}",
        [f"Authorization: token {token}"],
        SUBPROTOCOL,
        ANSWER_SECONDS,
    )
    if websocket.subprotocol != SUBPROTOCOL:
        websocket.close()
        raise BenchError(f"the server speaks {websocket.subprotocol!r}, not {SUBPROTOCOL}")
    return websocket


def split(payload: bytes) -> list[bytes]:
    """Take a message apart: channel, header, parent header, metadata, content, buffers …"""
    (count,) = _UINT64.unpack_from(payload)
    offsets = struct.unpack_from(f"<{count}Q", payload, 8)
    return [payload[a:b] for a, b in itertools.pairwise(offsets)]


def _joined(parts: Sequence[bytes]) -> bytes:
    """Put a message together: a table of offsets, then the parts."""
    offset = 8 * (len(parts) + 2)
    table = [len(parts) + 1, offset]
    for part in parts:
        offset += len(part)
        table.append(offset)
    return b"".join((*map(_UINT64.pack, table), *parts))
