"""``Session.handle`` on messages that were built before, and one output's way with sockets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Any

import zmq

from bench import raw_sockets
from bench.errors import BenchError
from bench.messages import Author, numbered_outputs
from bench.stopwatch import each, share
from proxy.errors import KernelProtocolError
from proxy.message import Channel, ClientId, Message, Part
from proxy.session import commands as cmd
from proxy.session import events as ev
from proxy.session.session import Session
from proxy.sockets import OnMessage, SocketSet, ZmqSocket
from proxy.wire import zmq_frames
from proxy.wire.signing import signer

_KEY = "0123456789abcdef0123456789abcdef"
_SIGNER = signer(_KEY.encode())
_CLIENT = ClientId((b"zmq", b"0123456789abcdef0123456789abcdef"))
_BATCH = 500
"""Requests that are on their way at once; more than a frontend has, so that tables are filled."""


class Conversation:
    """Plays both ends of a session: makes the events, of real messages."""

    def __init__(self) -> None:
        self._client = Author(_KEY)
        self._kernel = Author(_KEY)
        self.session = Session("bench")
        self._start_kernel()

    def asked(self, msg_type: str) -> ev.ClientSent:
        """A request of the client."""
        message = _decode(self._client.request(msg_type, {"code": "import num"}))
        return ev.ClientSent(at=time.time(), client=_CLIENT, channel=Channel.SHELL, message=message)

    def published(self, msg_type: str, content: dict[str, Any], parent: Message) -> ev.KernelSent:
        """An iopub message of the kernel."""
        frames = self._kernel.message(msg_type, content, parent.raw_header)
        message = _decode([f"kernel.{msg_type}".encode(), *frames])
        return _kernel_sent(Channel.IOPUB, (message.topic,), message)

    def replied(
        self, parent: Message, content: dict[str, Any], routing: tuple[bytes, ...] = _CLIENT
    ) -> ev.KernelSent:
        """A shell reply of the kernel."""
        reply_type = parent.header.msg_type.removesuffix("_request") + "_reply"
        message = _decode(self._kernel.message(reply_type, content, parent.raw_header))
        return _kernel_sent(Channel.SHELL, routing, message)

    def _start_kernel(self) -> None:
        """Launch, and answer what kmux asks, so that requests are let through."""
        handle = self.session.handle
        commands = handle(ev.KernelLaunched(at=time.time(), interrupt_mode="signal"))
        for command in commands:
            if isinstance(command, cmd.ToKernel):
                info = {"status": "ok", "implementation": "bench", "protocol_version": "5.4"}
                handle(self.published("status", {"execution_state": "busy"}, command.message))
                handle(self.replied(command.message, info, command.routing))
                handle(self.published("status", {"execution_state": "idle"}, command.message))
        if self.session.execution_state != "idle":
            raise BenchError(f"the session is {self.session.execution_state}, not ready")


def _decode(frames: list[bytes]) -> Message:
    return zmq_frames.decode(frames, _SIGNER, KernelProtocolError)[1]


def _kernel_sent(channel: Channel, routing: tuple[bytes, ...], message: Message) -> ev.KernelSent:
    return ev.KernelSent(at=time.time(), channel=channel, routing=routing, message=message)


def events(count: int) -> dict[str, float]:
    """Hand batches of requests to a session; each is answered, with busy, output and idle."""
    talk = Conversation()
    steps: dict[str, list[float]] = {}
    stream = {"name": "stdout", "text": "x" * 90}
    reply = {"status": "ok", "matches": [], "cursor_start": 0, "cursor_end": 0}
    busy, idle = {"execution_state": "busy"}, {"execution_state": "idle"}
    for _ in range(max(1, count // _BATCH)):
        requests = [talk.asked("complete_request") for _ in range(_BATCH)]
        parents = [event.message for event in requests]
        batches: dict[str, Sequence[ev.Event]] = {
            "request": requests,
            "status busy": [talk.published("status", busy, parent) for parent in parents],
            "iopub stream": [talk.published("stream", stream, parent) for parent in parents],
            "reply": [talk.replied(parent, reply) for parent in parents],
            "status idle": [talk.published("status", idle, parent) for parent in parents],
        }
        for step, batch in batches.items():
            steps.setdefault(step, []).append(each(talk.session.handle, batch))
    return {f"Session.handle: {step}": median(values) for step, values in steps.items()}


def way_of_an_output(count: int) -> dict[str, float]:
    """Drain a socket with more and more of an output's way behind it."""
    talk = Conversation()
    parent = talk.asked("execute_request").message
    outputs = numbered_outputs(Author(_KEY), _BATCH, parent.raw_header, b"kernel.display_data")
    with zmq.Context() as context:
        sockets = SocketSet()
        publisher, frontend = _pair(context, "frontend")
        outgoing = sockets.add(publisher, lambda frames, origin: None)
        ways = {
            step: (*_pair(context, step), behind)
            for step, behind in _ways(talk.session, outgoing).items()
        }
        steps: dict[str, list[float]] = {step: [] for step in ways}
        incoming = {
            step: sockets.add(upstream, behind) for step, (_, upstream, behind) in ways.items()
        }
        for _ in range(max(1, count // _BATCH)):
            for step, (kernel, _, _) in ways.items():
                for frames in outputs:
                    raw_sockets.send_message(kernel, frames)
                steps[step].append(share(partial(_drain, incoming[step]), _BATCH))
            while frontend.poll(0):
                raw_sockets.receive_message(frontend)
        for kernel, _, _ in ways.values():
            kernel.close()
        frontend.close()
        sockets.close_all()
    return {f"way of an output: {step}": median(values) for step, values in steps.items()}


def _ways(session: Session, outgoing: ZmqSocket) -> dict[str, OnMessage]:
    """What is done with a message that was received: each way goes one step further."""

    def receive(frames: list[Part], origin: zmq.Frame) -> None:
        pass

    def decode(frames: list[Part], origin: zmq.Frame) -> None:
        zmq_frames.decode(frames, _SIGNER, KernelProtocolError)

    def decide(frames: list[Part]) -> list[cmd.Command]:
        routing, message = zmq_frames.decode(frames, _SIGNER, KernelProtocolError)
        return session.handle(_kernel_sent(Channel.IOPUB, routing, message))

    def handle(frames: list[Part], origin: zmq.Frame) -> None:
        decide(frames)

    def encode(frames: list[Part], origin: zmq.Frame) -> None:
        for command in decide(frames):
            if isinstance(command, cmd.ToAll):
                zmq_frames.encode((command.message.topic,), command.message, _SIGNER)

    def send(frames: list[Part], origin: zmq.Frame) -> None:
        for command in decide(frames):
            if isinstance(command, cmd.ToAll):
                message = command.message
                outgoing.send(zmq_frames.encode((message.topic,), message, _SIGNER))

    return {
        "receive": receive,
        "… and decode": decode,
        "… and Session.handle": handle,
        "… and encode": encode,
        "… and send": send,
    }


def _pair(
    context: zmq.Context[zmq.Socket[bytes]], name: str
) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Make a publisher and its one subscriber, both without a high-water mark."""
    publisher, subscriber = context.socket(zmq.PUB), context.socket(zmq.SUB)
    for socket in (publisher, subscriber):
        socket.sndhwm = socket.rcvhwm = socket.linger = 0
    publisher.bind(f"inproc://{name}")
    subscriber.subscribe(b"")
    subscriber.connect(f"inproc://{name}")
    return publisher, subscriber


def _drain(socket: ZmqSocket) -> None:
    while socket.drain():
        pass
