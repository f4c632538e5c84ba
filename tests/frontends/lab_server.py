"""JupyterLab's own server, and the WebSocket conversation that a JupyterLab window has with it."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import psutil
import websocket

from tests.frontends.kmux_process import DEADLINE, Workplace, until

TOKEN = "of-the-test"
SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
PARTS = ("header", "parent_header", "metadata", "content")


class LabServer:
    """A running ``jupyter lab``."""

    def __init__(
        self, workplace: Workplace, url: str, process: subprocess.Popen[bytes], log: Path
    ) -> None:
        self.workplace = workplace
        self.url = url
        self.process = process
        self.log = log
        self._windows: list[Window] = []

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the REST API. Returns the decoded answer, or None for an empty one."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body or {}).encode() if method != "GET" else None,
            {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def start_kernel(self, name: str = "python3-shared") -> str:
        kernel_id: str = self.request("POST", "api/kernels", {"name": name})["id"]
        return kernel_id

    def open_notebook(self, path: str, kernel: str) -> str:
        """Do what opening a notebook does. Returns the kernel's id."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
        kernel_id: str = self.request("POST", "api/sessions", body)["kernel"]["id"]
        return kernel_id

    def rename_notebook(self, path: str, new: str) -> None:
        """Do what renaming one that is open does."""
        self.request("PATCH", f"api/contents/{path}", {"path": new})
        (session,) = self.request("GET", "api/sessions")
        body = {"path": new, "name": new, "type": "notebook"}
        self.request("PATCH", f"api/sessions/{session['id']}", body)

    def stop_kernel(self, kernel_id: str) -> None:
        """Do what "Shut Down Kernel" does, and return when the kernel has ended."""
        self.request("DELETE", f"api/kernels/{kernel_id}")

    def connection_file(self, kernel_id: str) -> Path:
        return Path(self.workplace.environment["JUPYTER_RUNTIME_DIR"]) / f"kernel-{kernel_id}.json"

    def window(self, kernel_id: str) -> Window:
        """Open a WebSocket as a JupyterLab window does."""
        window = Window(self.url.replace("http", "ws", 1), kernel_id)
        self._windows.append(window)
        return window

    def close(self) -> None:
        for window in self._windows:
            window.close()


class Window:
    """One window's WebSocket, in the protocol that JupyterLab 4 and its server agree on."""

    def __init__(self, url: str, kernel_id: str) -> None:
        self.session = uuid.uuid4().hex
        self._kept: list[dict[str, Any]] = []
        self._url = f"{url}api/kernels/{kernel_id}/channels?session_id={self.session}"
        self._connect()

    def _connect(self) -> None:
        self._socket = websocket.create_connection(
            self._url,
            timeout=DEADLINE,
            header=[f"Authorization: token {TOKEN}"],
            subprotocols=[SUBPROTOCOL],
        )
        # JupyterLab says nothing else before it has the answer to this.
        self.arrive()

    def reconnect(self) -> None:
        """Do what JupyterLab does when its kernel was restarted, or its connection broke."""
        self._socket.close()
        self._connect()

    def close(self) -> None:
        self._socket.close()

    def send(
        self,
        channel: str,
        msg_type: str,
        content: dict[str, Any],
        subshell: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Send a message; returns its msg_id."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": msg_type, "session": self.session}
        header |= {"username": "", "date": "", "version": "5.2"}
        self._say(channel, [{**header, "subshell_id": subshell}, {}, metadata or {}, content])
        return header["msg_id"]

    def _say(self, channel: str, parts: list[dict[str, Any]]) -> None:
        self._socket.send_binary(_encode(channel, [json.dumps(part).encode() for part in parts]))

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Wait for the next message of whatever channel; its server's pings are none."""
        opcode = websocket.ABNF.OPCODE_PING
        while opcode != websocket.ABNF.OPCODE_BINARY:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            opcode, frame = self._socket.recv_data(control_frame=True)
        return decode(frame)

    def execute(self, code: str) -> str:
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True}
        return self.send("shell", "execute_request", content)

    def hear(self, msg_id: str | None, msg_type: str) -> dict[str, Any]:
        """Wait for a message of this type, for a request of ours or of whomever."""

        def is_it(message: dict[str, Any]) -> bool:
            mine = msg_id is None or message["parent_header"].get("msg_id") == msg_id
            return mine and message["msg_type"] == msg_type

        return self.hear_where(is_it, msg_type)

    def hear_where(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait for a message of whomever; what is not meant is kept for the next who waits."""
        deadline, looked_at = time.monotonic() + DEADLINE, 0
        while True:
            for number, message in enumerate(self._kept[looked_at:], looked_at):
                if condition(message):
                    return self._kept.pop(number)
            looked_at = len(self._kept)
            try:
                self._kept.append(self._receive(deadline))
            except websocket.WebSocketTimeoutException:
                raise AssertionError(f"not heard: {what}") from None

    def run(self, code: str) -> tuple[dict[str, Any], str]:
        """Execute; return the reply's content and what was printed."""
        return self.finish(self.execute(code))

    def finish(self, cell: str) -> tuple[dict[str, Any], str]:
        """Wait for a cell of ours; return the reply's content and what was printed."""
        printed, reply, idle = "", None, False
        while reply is None or not idle:
            message = self.hear_where(_about(cell), "the end of a cell")
            if message["msg_type"] == "execute_reply":
                reply = message["content"]
            elif message["msg_type"] == "stream":
                printed += message["content"]["text"]
            idle |= message["content"].get("execution_state") == "idle"
        return reply, printed

    def ask(self, who: str) -> None:
        """Run a cell that asks; the next prompt that comes must be its own. Answer it."""
        cell = self.execute(f"print('heard', input('{who}? '))")
        prompt = self.hear(None, "input_request")
        assert prompt["parent_header"]["msg_id"] == cell, f"not its own: {prompt['content']}"
        self.send("stdin", "input_reply", {"value": "yes"})
        reply, printed = self.finish(cell)
        assert printed == "heard yes\n", (reply, printed)

    def arrive(self) -> None:
        """Wait until kmux has all that was sent on shell: it answers kernel_info at once."""
        self.hear(self.send("shell", "kernel_info_request", {}), "kernel_info_reply")

    def listen(self) -> None:
        """Wait until what is published from now on will be heard.

        Its server connects shell and iopub at the same time, and waits for the latter only where
        the kernel is not busy ("nudge", jupyter_server 2.21).
        """
        asked: list[str] = []
        channel = ""
        while channel != "iopub":
            asked.append(self.send("shell", "kernel_info_request", {}))
            answer = self.hear_where(
                lambda message: message["parent_header"].get("msg_id") in asked, "kernel_info"
            )
            channel = answer["channel"]


def _about(request: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a message has this request as parent."""
    return lambda message: message["parent_header"].get("msg_id") == request


def _encode(channel: str, parts: list[bytes]) -> bytes:
    """Frame a message: how many offsets, the offset of each part, that of the end, the parts."""
    parts = [channel.encode(), *parts]
    first = 8 * (len(parts) + 2)
    offsets = accumulate(map(len, parts), initial=first)
    return struct.pack(f"<{len(parts) + 2}Q", len(parts) + 1, *offsets) + b"".join(parts)


def decode(frame: bytes) -> dict[str, Any]:
    """Take apart what a window or its server has sent."""
    (count,) = struct.unpack_from("<Q", frame)
    offsets = struct.unpack_from(f"<{count}Q", frame, 8)
    channel, *parts = [frame[start:end] for start, end in pairwise(offsets)]
    message = {name: json.loads(part) for name, part in zip(PARTS, parts, strict=False)}
    message |= {"channel": channel.decode(), "buffers": parts[len(PARTS) :]}
    return message | {"msg_type": message["header"]["msg_type"]}


@contextmanager
def lab_server(
    workplace: Workplace,
    *arguments: str,
    port: int = 0,
    application: str = "jupyterlab",
    **environment: str,
) -> Iterator[LabServer]:
    """Start ``jupyter lab`` with "Python 3 (shared)" installed, until the block is left.

    ``application`` may be its mere server instead, ``jupyter_server``.
    """
    prefix = workplace.root / "prefix"
    installed = workplace.kmux("kernelspec", "install", "--prefix", str(prefix), **environment)
    assert installed.returncode == 0, installed.stderr
    log = (workplace.root / f"lab-{time.monotonic_ns()}.log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", application, "--no-browser", "--allow-root", f"--port={port}"]
        + [f"--ServerApp.root_dir={workplace.root}", *arguments],
        env={
            **workplace.environment,
            **environment,
            "JUPYTER_TOKEN": TOKEN,
            "JUPYTER_PATH": f"{prefix}/share/jupyter:{workplace.environment['JUPYTER_PATH']}",
        },
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    file = Path(workplace.environment["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{process.pid}.json"

    def url() -> str | None:
        assert process.poll() is None, Path(log.name).read_text()
        try:
            running = json.loads(file.read_text())
            urllib.request.urlopen(f"{running['url']}api", timeout=DEADLINE).close()
        except (OSError, ValueError):
            return None
        return str(running["url"])

    server = None
    try:
        server = LabServer(workplace, until(url, "JupyterLab listens"), process, Path(log.name))
        yield server
    finally:
        kernels = []
        with suppress(psutil.NoSuchProcess):  # a test has killed it
            kernels = psutil.Process(process.pid).children(recursive=True)
        if server is not None:
            server.close()
        process.terminate()
        try:
            process.wait(60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            log.close()
            _, alive = psutil.wait_procs(kernels, timeout=10)
            for kernel in alive:
                kernel.kill()
        assert not alive, f"outlived the server: {alive}"
