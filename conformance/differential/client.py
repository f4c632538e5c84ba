"""A frontend on raw sockets: one identity on shell, control and stdin, and a subscription."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import zmq

from conformance.differential.messages import Heard, Signer
from conformance.errors import ConformanceError

ATTACH_SECONDS = 60.0
QUIET_SECONDS = 0.1
_KINDS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB}


class Client:
    """Attached to one connection file. ``session`` is also its routing identity."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], info: dict[str, Any], session: str
    ) -> None:
        self.session = session
        self._signer = Signer(info["key"])
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._channels: dict[zmq.Socket[bytes], str] = {}
        self._poller = zmq.Poller()
        self._count = itertools.count()
        for channel, kind in _KINDS.items():
            socket = context.socket(kind)
            socket.linger = 0
            socket.sndhwm = socket.rcvhwm = 0
            if kind == zmq.DEALER:
                socket.routing_id = session.encode()
            else:
                socket.subscribe(b"")
            socket.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
            self._poller.register(socket, zmq.POLLIN)
            self._sockets[channel] = socket
            self._channels[socket] = channel

    def header(self, msg_type: str, msg_id: str) -> dict[str, Any]:
        """Return the header of a usual message. The date is the same in all of them."""
        return {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": "someone",
            "session": self.session,
            "date": "2026-11-23T08:00:00.123456Z",
            "version": "5.4",
        }

    def send(
        self, channel: str, header: Any, content: Any, metadata: Any, buffers: Sequence[bytes] = ()
    ) -> None:
        """Send a message."""
        frames = self._signer.encode(header, metadata, content, buffers)
        self._sockets[channel].send_multipart(frames)

    def receive(self, seconds: float) -> list[Heard]:
        """Wait for messages, at most so long, and return all that are there."""
        heard = []
        for socket, _ in self._poller.poll(max(0, int(seconds * 1000))):
            assert isinstance(socket, zmq.Socket)
            while True:
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                heard.append(self._signer.decode(self._channels[socket], frames))
        return heard

    def attach(self) -> None:
        """Wait until the kernel answers and the subscription is there, then until it is quiet.

        What belongs to a new subscription (iopub_welcome, a first status) ends here. Raises
        :class:`ConformanceError`.
        """
        deadline = time.monotonic() + ATTACH_SECONDS
        msg_id = f"{self.session}-attach-{next(self._count)}"
        self.send("shell", self.header("kernel_info_request", msg_id), {}, {})
        welcomed = answered = False
        while not (welcomed and answered):
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConformanceError(
                    f"no kernel in {ATTACH_SECONDS:.0f} s (welcomed: {welcomed}, "
                    f"answered: {answered}); see its log"
                )
            for message in self.receive(left):
                welcomed |= message.msg_type == "iopub_welcome"
                answered |= message.parent.get("msg_id") == msg_id and message.channel == "shell"
        while self.receive(QUIET_SECONDS):
            pass
