"""Sending and receiving with pyzmq's C calls, without what its Python methods add.

The measuring side must cost less than what is measured: 7 frames through ``send_multipart`` take
several times as long as the C calls (see bench/micro.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket as _RawSocket

send_frame = _RawSocket.send
receive_frame = _RawSocket.recv
_get: Any = _RawSocket.get
_MORE = int(zmq.SNDMORE)
_RCVMORE = int(zmq.RCVMORE)


def send_message(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """Send one message."""
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        send_frame(socket, frame, 0 if index == last else _MORE)


def receive_message(socket: zmq.Socket[bytes], flags: int = 0) -> list[bytes]:
    """Receive one message. Raises ``zmq.Again`` after the socket's RCVTIMEO."""
    frames = [receive_frame(socket, flags)]
    while _get(socket, _RCVMORE):
        frames.append(receive_frame(socket))
    return frames
