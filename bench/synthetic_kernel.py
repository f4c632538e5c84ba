"""A kernel that costs as little as possible, so that what stands before it shows.

``python -m bench.synthetic_kernel CONNECTION_FILE``. It answers every request at once with
"ok"; kernel_info_request and execute_request with busy and idle around. The code of an
execute_request is a JSON object: ``{"do": "prepare", "count": N, "parent": HEADER}`` builds and
signs N outputs as children of that header, ``{"do": "burst"}`` publishes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import zmq

from bench import messages
from bench.messages import CONTENT, HEADER
from bench.raw_sockets import receive_message, send_message

_INFO = {
    "status": "ok",
    "protocol_version": "5.4",
    "implementation": "synthetic",
    "implementation_version": "1",
    "language_info": {
        "name": "none",
        "version": "1",
        "mimetype": "text/plain",
        "file_extension": ".txt",
    },
    "banner": "",
    "help_links": [],
}


class SyntheticKernel:
    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], info: dict[str, Any]) -> None:
        self._author = messages.Author(info["key"])
        self._topic = f"kernel.{self._author.session}.".encode()
        self._prepared: list[list[bytes]] = []
        self._alive = True
        self._iopub = context.socket(zmq.PUB)
        self._iopub.sndhwm = 0
        self._iopub.bind(_url(info, "iopub"))
        self._handlers = {}
        self._poller = zmq.Poller()
        for channel in ("shell", "control", "stdin", "hb"):
            socket = context.socket(zmq.ROUTER)
            socket.linger = 200
            socket.sndhwm = socket.rcvhwm = 0
            socket.bind(_url(info, channel))
            self._handlers[socket] = self._echo if channel == "hb" else self._answer
            self._poller.register(socket, zmq.POLLIN)

    def run(self) -> None:
        """Serve until a shutdown_request comes."""
        while self._alive:
            for socket, _ in self._poller.poll():
                self._handlers[socket](socket)
        for socket in self._handlers:
            socket.close()
        self._iopub.close(linger=200)

    def _echo(self, socket: zmq.Socket[bytes]) -> None:
        send_message(socket, receive_message(socket))

    def _answer(self, socket: zmq.Socket[bytes]) -> None:
        frames = receive_message(socket)
        start = frames.index(messages.DELIMITER)
        routing, request = frames[:start], frames[start:]
        parent = request[HEADER]
        if b'"complete_request"' in parent:  # the one whose time is measured
            content = b'{"status":"ok","matches":[],"cursor_start":0,"cursor_end":0,"metadata":{}}'
            reply = self._author.message("complete_reply", content, parent)
            send_message(socket, routing + reply)
            return
        msg_type = json.loads(parent)["msg_type"]
        content_out: dict[str, Any] = {"status": "ok"}
        with_status = msg_type in ("kernel_info_request", "execute_request")
        if with_status:
            self._publish("status", {"execution_state": "busy"}, parent)
        if msg_type == "kernel_info_request":
            content_out = _INFO
        elif msg_type == "execute_request":
            self._execute(json.loads(json.loads(request[CONTENT])["code"]))
            content_out = {"status": "ok", "execution_count": 1, "user_expressions": {}}
        elif msg_type == "shutdown_request":
            content_out = {"status": "ok", "restart": False}
            self._alive = False
        if msg_type.endswith("_request"):
            reply_type = msg_type.removesuffix("_request") + "_reply"
            reply = self._author.message(reply_type, content_out, parent)
            send_message(socket, routing + reply)
        if with_status:
            self._publish("status", {"execution_state": "idle"}, parent)

    def _execute(self, order: dict[str, Any]) -> None:
        if order["do"] == "prepare":
            topic = self._topic + b"display_data"
            self._prepared = messages.numbered_outputs(
                self._author, order["count"], order["parent"].encode(), topic
            )
        elif order["do"] == "burst":
            iopub = self._iopub
            for frames in self._prepared:
                send_message(iopub, frames)
            self._prepared = []

    def _publish(self, msg_type: str, content: dict[str, Any], parent: bytes) -> None:
        frames = self._author.message(msg_type, content, parent)
        send_message(self._iopub, [self._topic + msg_type.encode(), *frames])


def _url(info: dict[str, Any], channel: str) -> str:
    return f"tcp://{info['ip']}:{info[f'{channel}_port']}"


def main() -> None:
    info = json.loads(Path(sys.argv[1]).read_bytes())
    with zmq.Context() as context:
        SyntheticKernel(context, info).run()


if __name__ == "__main__":
    main()
