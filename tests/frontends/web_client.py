"""A client of the daemon's HTTP API and of a kernel's WebSocket, as scripts have them."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from websocket import WebSocket, WebSocketConnectionClosedException, create_connection

from proxy.wire.websocket_frames import V1
from tests.frontends.kmux_process import DEADLINE, Daemon

_numbers = itertools.count()


class WebApi:
    """The daemon's port, with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask for something. Returns the status, and the JSON of the answer if there is any."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"token {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as response:
                status, raw = response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                status, raw = error.code, error.read()
        return status, json.loads(raw) if raw else None

    def get(self, path: str) -> Any:
        status, found = self.ask("GET", path)
        assert status == 200, (status, found)
        return found

    def make(self, path: str, body: Any) -> Any:
        """POST what makes something."""
        status, made = self.ask("POST", path, body)
        assert status == 201, (status, made)
        return made

    def do(self, method: str, path: str) -> None:
        """Have something done that has no answer."""
        status, answer = self.ask(method, path, {} if method == "POST" else None)
        assert (status, answer) == (204, None)

    def connect(self, kernel_id: str, session_id: str | None = None) -> WebKernel:
        """Open a kernel's WebSocket. It is the caller's to close."""
        url = f"{self.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels"
        url += f"?token={self.token}" + (f"&session_id={session_id}" if session_id else "")
        return WebKernel(create_connection(url, DEADLINE, subprotocols=[V1]), session_id)


class WebKernel:
    """One WebSocket of a kernel."""

    def __init__(self, connection: WebSocket, session_id: str | None) -> None:
        self.connection = connection
        self.session = Session(session=session_id or "nobody")
        self.session.message_count = next(_numbers) * 10_000  # a name may come back
        self.heard: list[dict[str, Any]] = []
        """All that came, oldest first; ``channel`` is beside the parts of each message."""

    def __enter__(self) -> WebKernel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()

    def send(self, msg_type: str, content: dict[str, Any], channel: str = "shell") -> str:
        """Send a message. Returns its msg_id."""
        message = self.session.msg(msg_type, content)
        names = ("header", "parent_header", "metadata", "content")
        parts = [json.dumps(message[name], default=str).encode() for name in names]
        self.connection.send_binary(serialize_msg_to_ws_v1(parts, channel))
        msg_id: str = message["header"]["msg_id"]
        return msg_id

    def execute(self, code: str, **more: Any) -> str:
        """Send a cell."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        return self.send("execute_request", {**content, **more})

    def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a message."""
        while True:
            payload = self.connection.recv()
            if isinstance(payload, str):  # there is none: it was closed
                raise WebSocketConnectionClosedException
            channel, parts = deserialize_msg_from_ws_v1(payload)
            names = ("header", "parent_header", "metadata", "content")
            message = dict(zip(names, map(json.loads, parts), strict=False))
            message |= {"channel": channel, "buffers": parts[4:]}
            self.heard.append(message)
            if wanted(message):
                return message

    def has_heard(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return a message that came, or wait for it: shell and iopub have no common order."""
        return next(filter(wanted, self.heard), None) or self.hear(wanted)

    def reply(self, msg_id: str) -> dict[str, Any]:
        """Wait for the answer to a request. Returns its content."""
        found = self.has_heard(
            lambda m: m["channel"] != "iopub" and m["parent_header"].get("msg_id") == msg_id
        )
        content: dict[str, Any] = found["content"]
        return content

    def until_idle(self, msg_id: str) -> None:
        """Wait until a request is over on iopub."""
        self.has_heard(
            lambda m: (
                m["parent_header"].get("msg_id") == msg_id
                and m["content"].get("execution_state") == "idle"
            )
        )

    def run(self, code: str) -> str:
        """Run a cell to its end. Returns what it printed."""
        cell = self.execute(code)
        self.until_idle(cell)
        return self.printed(cell)

    def printed(self, msg_id: str) -> str:
        """Return what a cell has printed, as far as it was heard."""
        return printed([self], msg_id)


def printed(kernels: list[WebKernel], msg_id: str) -> str:
    """Return what a cell has printed, as it was heard on one connection after the other."""
    return "".join(
        message["content"]["text"]
        for kernel in kernels
        for message in kernel.heard
        if message["header"]["msg_type"] == "stream"
        and message["parent_header"].get("msg_id") == msg_id
    )


def api_of(daemon: Daemon, *, read_only: bool = False) -> WebApi:
    """Return the daemon's API, as ``kmux web`` tells where it is."""
    found = daemon.json("web", *(["--read-only"] if read_only else []))
    return WebApi(found["url"], found["token"])
