"""Single steps of a message's way, without a network: wire, Session.handle, libzmq's calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Any

import zmq

from bench import micro_session, raw_sockets
from bench.effort import Effort
from bench.messages import HEADER, Author
from bench.report import Result, median_and_range
from bench.stopwatch import each, share, without_garbage_collection
from bench.workspace import Workspace
from proxy.errors import KernelProtocolError
from proxy.sockets import SocketSet, ZmqSocket
from proxy.wire import zmq_frames
from proxy.wire.signing import signer

_KEY = "0123456789abcdef0123456789abcdef"
_BATCH = 500


def micro(workspace: Workspace, effort: Effort) -> Result:
    """Run every step many times, several times over."""
    samples: dict[str, list[float]] = {}
    measures = (_wire, micro_session.events, _socket_calls, micro_session.way_of_an_output)
    for _ in range(effort.micro_repeats):
        with without_garbage_collection():
            for measure in measures:
                for step, value in measure(effort.micro_messages).items():
                    samples.setdefault(step, []).append(value)
    rows = [
        (step, median_and_range(values, 2), f"{1e6 / median(values):,.0f}")
        for step, values in samples.items()
    ]
    return Result(
        title="micro: one step at a time, messages of 7 frames and 600 bytes, no network",
        columns=("step", "µs: median (range)", "per second"),
        rows=rows,
        notes=["each line of the way of an output includes those before it"],
        raw={"us": samples},
    )


def _wire(count: int) -> dict[str, float]:
    """Bytes to messages and back."""
    author, own, other = Author(_KEY), signer(_KEY.encode()), signer(b"another")
    parent = author.message("execute_request", {"code": "1+1"})[HEADER]
    content = {"name": "stdout", "text": "x" * 90}
    frames = [
        [b"kernel.stream.stdout", *author.message("stream", content, parent)] for _ in range(count)
    ]
    messages = [zmq_frames.decode(one, own, KernelProtocolError)[1] for one in frames]
    return {
        "wire: decode and verify": each(
            lambda one: zmq_frames.decode(one, own, KernelProtocolError), frames
        ),
        "wire: encode, same key": each(
            lambda one: zmq_frames.encode((one.topic,), one, own), messages
        ),
        "wire: encode, sign anew": each(
            lambda one: zmq_frames.encode((one.topic,), one, other), messages
        ),
        "wire: sign": each(
            lambda one: own.sign(one.raw_header, one.raw_parent, one.raw_metadata, one.raw_content),
            messages,
        ),
    }


def _socket_calls(count: int) -> dict[str, float]:
    """Send and receive over inproc, one batch after the other, so that no thread works beside."""
    author = Author(_KEY)
    request = author.request("complete_request", {"code": "import num"})
    frames = [b"0123456789abcdef", *request]
    batch = [frames] * _BATCH
    with zmq.Context() as context:
        sender, receiver = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for socket in (sender, receiver):
            socket.sndhwm = socket.rcvhwm = socket.linger = 0
        receiver.bind("inproc://bench")
        sender.connect("inproc://bench")
        sockets = SocketSet()
        incoming = sockets.add(receiver, lambda frames, origin: None)
        outgoing = sockets.add(sender, lambda frames, origin: None)

        def batch_of(receive: Callable[[], object]) -> Callable[[], object]:
            return lambda: [receive() for _ in range(_BATCH)]

        sends: dict[str, Callable[[Any], object]] = {
            "pyzmq: send_multipart": sender.send_multipart,
            "proxy.sockets: send": outgoing.send,
            "raw: send": lambda one: raw_sockets.send_message(sender, one),
        }
        receives: dict[str, Callable[[], object]] = {
            "pyzmq: recv_multipart": batch_of(receiver.recv_multipart),
            "pyzmq: recv_multipart, copy=False": batch_of(
                lambda: receiver.recv_multipart(copy=False)
            ),
            "proxy.sockets: drain": lambda: _drain(incoming),
            "raw: recv, RCVMORE after each": batch_of(
                lambda: raw_sockets.receive_message(receiver)
            ),
            "raw: recv, 7 frames known": batch_of(lambda: _receive_seven(receiver)),
        }
        steps: dict[str, list[float]] = {step: [] for step in (*sends, *receives)}
        # Each way to receive once, behind each way to send in turn.
        pairs = zip(itertools.cycle(sends.items()), receives.items(), strict=False)
        for (sent, send), (received, receive) in list(pairs) * max(1, count // _BATCH // 5):
            steps[sent].append(each(send, batch))
            steps[received].append(share(receive, _BATCH))
        alone = {
            "raw: EVENTS": each(lambda _: receiver.get(zmq.EVENTS), batch),
            "raw: recv that raises Again": each(lambda _: _receive_nothing(receiver), batch),
        }
        sockets.close_all()
    return {step: median(values) for step, values in steps.items()} | alone


def _drain(socket: ZmqSocket) -> None:
    while socket.drain():
        pass


def _receive_seven(socket: zmq.Socket[bytes]) -> list[bytes]:
    receive = raw_sockets.receive_frame
    return [
        receive(socket),
        receive(socket),
        receive(socket),
        receive(socket),
        receive(socket),
        receive(socket),
        receive(socket),
    ]


def _receive_nothing(socket: zmq.Socket[bytes]) -> None:
    with suppress(zmq.Again):
        raw_sockets.receive_frame(socket, int(zmq.NOBLOCK))
