"""A frontend that comes later, with all five channels: what jupyter_client's have."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import zmq

from bench import messages, widgets
from bench.client import READY_SECONDS, Client
from bench.errors import BenchError
from bench.messages import CONTENT, HEADER, PARENT
from bench.raw_sockets import receive_message, send_message

_NUDGE_MS = 100


@dataclass(frozen=True)
class Joined:
    """When a new frontend had what, in seconds after it sent its first request."""

    kernel_info: float
    states: float
    comm_info: float
    models: int
    """How many are in the states, and in the comm_info_reply as well."""


class Frontend(Client):
    """A client that also has control and stdin."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], info: dict[str, Any]) -> None:
        super().__init__(context, info)
        self._control = self._connect(context, zmq.DEALER, info, "control")
        self._stdin = self._connect(context, zmq.DEALER, info, "stdin")

    def close(self) -> None:
        super().close()
        self._control.close()
        self._stdin.close()

    def wait_until_heard(self) -> None:
        """Wait until iopub was heard, also while the kernel is busy. Raises BenchError.

        kmux welcomes each subscriber. ipykernel only the first one: the others nudge it on
        control, where it answers while a cell runs.
        """
        deadline = time.monotonic() + READY_SECONDS
        while not self._iopub.poll(_NUDGE_MS):
            if time.monotonic() > deadline:
                raise BenchError(f"nothing on iopub in {READY_SECONDS:.0f} s")
            send_message(self._control, self.author.message("kernel_info_request", {}))

    def ask_control(self, msg_type: str) -> None:
        """Send a request on control and wait for its reply."""
        request = self.author.message(msg_type, {})
        send_message(self._control, request)
        msg_id = messages.id_of(request[HEADER])
        while msg_id not in receive_message(self._control)[PARENT]:
            pass  # a nudge's

    def answer_prompt(self, value: str) -> None:
        """Wait for an input_request and answer it."""
        prompt = receive_message(self._stdin)
        reply = self.author.message("input_reply", {"value": value}, prompt[HEADER])
        send_message(self._stdin, reply)

    def join(self) -> Joined:
        """Ask what JupyterLab asks first, and in its order: kernel_info, all states, comm_info."""
        author, now = self.author, time.perf_counter
        comm_id = secrets.token_hex(16)
        hello = author.message("kernel_info_request", {})
        opening = widgets.control_opening(author, comm_id)
        asking = widgets.states_request(author, comm_id)
        listing = author.message("comm_info_request", {"target_name": widgets.TARGET})
        closing = author.message("comm_close", {"comm_id": comm_id, "data": {}})
        start = now()
        self.finish(self.send(hello))
        kernel_info = now() - start
        self.send(opening)
        asked = self.send(asking)
        listed = self.send(listing)
        answer = self.hear(
            lambda message: asked in message[1 + PARENT] and b'"comm_msg"' in message[1 + HEADER]
        )
        states = now() - start
        reply = self.finish(listed)
        comm_info = now() - start
        self.send(closing)
        models = json.loads(answer[1 + CONTENT])["data"]["states"]
        comms = json.loads(reply[CONTENT])["comms"]
        if models.keys() != comms.keys():
            raise BenchError(f"{len(models)} states, but {len(comms)} comms")
        if not all(model["state"] for model in models.values()):
            raise BenchError("a model has no state")
        return Joined(kernel_info, states, comm_info, len(models))


@contextlib.contextmanager
def attached(context: zmq.Context[zmq.Socket[bytes]], info: dict[str, Any]) -> Iterator[Frontend]:
    """Attach a frontend while the context lasts."""
    frontend = Frontend(context, info)
    try:
        frontend.wait_until_heard()
        yield frontend
    finally:
        frontend.close()
