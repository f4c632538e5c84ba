"""A kernel that does as it is told: for what real ones cannot be made to do on demand.

It speaks real frames on real sockets, with a signer of its own. Code is a list of commands, one a
line:

    print TEXT       a stream message
    say TEXT        a line on the process's stdout
    flood N          N display_data, numbered
    ask PROMPT       an input_request; prints the answer
    garbage          frames that are no message, on shell and iopub
    silence          no reply, and no idle
    sleep SECONDS    busy for so long
    die STATUS       ends at once (a process: with this exit status), what was sent goes out

In a thread of this process: ``with FakeKernel() as kernel``. As a process of its own, for a
kernelspec: ``python -m tests.fake_kernel CONNECTION_FILE [OPTION]...``, where options are names
of :class:`Behaviour`.
"""

from __future__ import annotations

import errno
import hmac
import itertools
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
SESSION = "fake-kernel"
CHANNELS = ("shell", "control", "stdin", "iopub", "hb")


@dataclass(kw_only=True)
class Behaviour:
    """What is odd about this kernel; nothing, unless it is said."""

    drops_prefix: bool = False
    """It gives back its client's identity only, as Deno does."""
    answers_wrongly: dict[str, str] = field(default_factory=dict)
    """Types of replies by those of requests, as tslab has them."""
    never_answers: set[str] = field(default_factory=set)
    """Types of requests."""
    ignores_sigterm: bool = False
    is_stillborn: bool = False
    """It writes two lines and ends."""
    is_unlucky: bool = False
    """At its first launch from a directory it finds a port taken and, like ipykernel, lives on."""


class Died(Exception):
    """The kernel was told to end."""


class FakeKernel:
    """Bound when it is made; serves in a thread while its context lasts."""

    def __init__(
        self, fields: dict[str, Any] | None = None, behaviour: Behaviour | None = None
    ) -> None:
        """``fields`` are those of a connection file; ports that are missing are made."""
        self.fields: dict[str, Any] = {
            "transport": "tcp",
            "ip": "127.0.0.1",
            "key": "the kernel's key",
            "signature_scheme": "hmac-sha256",
            **(fields or {}),
        }
        self.behaviour = behaviour or Behaviour()
        self.sent: list[tuple[str, list[bytes]]] = []
        """All frames that it sent, by channel, without the client's identity."""
        self.got: list[tuple[str, list[bytes]]] = []
        """All valid messages that it got: routing frames and message."""
        self.flooded = threading.Event()
        """Set when all of a flood is on its way."""
        self._numbers = itertools.count(1)
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._sockets = {channel: self._bind(channel) for channel in CHANNELS}
        self._stop = self._context.socket(zmq.PAIR)
        self._stop.bind("inproc://stop")
        self._thread = threading.Thread(target=self.serve, name="fake kernel")

    def _bind(self, channel: str) -> zmq.Socket[bytes]:
        raw = self._context.socket(zmq.PUB if channel == "iopub" else zmq.ROUTER)
        raw.sndhwm = raw.rcvhwm = 0
        raw.linger = 5000
        if channel != "iopub":
            raw.router_handover = True
        if "curve_secretkey" in self.fields:
            raw.curve_server = True
            raw.curve_publickey = self.fields["curve_publickey"].encode()
            raw.curve_secretkey = self.fields["curve_secretkey"].encode()
        port = self.fields.get(f"{channel}_port", 0)
        if self.fields["transport"] == "ipc":
            port = port or CHANNELS.index(channel) + 1
            raw.bind(f"ipc://{self.fields['ip']}-{port}")
        else:
            raw.bind(f"tcp://{self.fields['ip']}:{port or '*'}")
            port = int(raw.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self.fields[f"{channel}_port"] = port
        return raw

    def __enter__(self) -> FakeKernel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End it, if it has not; what it sent goes out."""
        if self._thread.is_alive():
            with suppress(zmq.ZMQError), self._context.socket(zmq.PAIR) as stop:  # it may have died
                stop.connect("inproc://stop")
                stop.send(b"")
            self._thread.join(20)  # its context ends with the last of its sockets, also this one
        assert not self._thread.is_alive()

    def serve(self) -> None:
        """Serve until it is told to end."""
        poller = zmq.Poller()
        for channel in ("control", "shell", "hb"):
            poller.register(self._sockets[channel], zmq.POLLIN)
        poller.register(self._stop, zmq.POLLIN)
        names = {raw: name for name, raw in self._sockets.items()}
        try:
            while True:
                for raw, _ in poller.poll():
                    if raw is self._stop:
                        return
                    frames = raw.recv_multipart()
                    if names[raw] == "hb":
                        raw.send_multipart(frames)
                    else:
                        self._take(names[raw], frames)
        except Died:
            return
        finally:
            for raw in (*self._sockets.values(), self._stop):
                raw.close()
            self._context.term()

    # Messages

    def _sign(self, parts: list[bytes]) -> bytes:
        digest = self.fields["signature_scheme"].removeprefix("hmac-")
        key = self.fields["key"].encode()
        return hmac.new(key, b"".join(parts), digest).hexdigest().encode() if key else b""

    def _take(self, channel: str, frames: list[bytes]) -> None:
        at = frames.index(DELIMITER)
        routing, signature, parts = frames[:at], frames[at + 1], frames[at + 2 : at + 6]
        assert signature == self._sign(parts), "kmux signs with the kernel's key"
        self.got.append((channel, frames[1:]))
        header, content = json.loads(parts[0]), json.loads(parts[3])
        request = Request(self, channel, routing, parts[0], header["msg_type"])
        request.publish("status", {"execution_state": "busy"})
        if not request.answer(content):
            return
        request.publish("status", {"execution_state": "idle"})

    def send(
        self,
        channel: str,
        routing: list[bytes],
        msg_type: str,
        content: dict[str, Any],
        parent: bytes = b"{}",
        buffers: tuple[bytes, ...] = (),
    ) -> None:
        header = {
            "msg_id": f"{SESSION}_{next(self._numbers)}",
            "msg_type": msg_type,
            "username": "kernel",
            "session": SESSION,
            "date": "2026-11-22T12:00:00.000000Z",
            "version": "5.3",
        }
        parts = [json.dumps(header).encode(), parent, b"{}", json.dumps(content).encode()]
        self.send_frames(channel, [*routing, DELIMITER, self._sign(parts), *parts, *buffers])

    def send_frames(self, channel: str, frames: list[bytes]) -> None:
        """Send whatever it is."""
        self._sockets[channel].send_multipart(frames)
        self.sent.append((channel, frames if channel == "iopub" else frames[1:]))


class Request:
    """One request that a fake kernel answers."""

    def __init__(
        self, kernel: FakeKernel, channel: str, routing: list[bytes], header: bytes, msg_type: str
    ) -> None:
        self.kernel = kernel
        self.channel = channel
        self.routing = routing[:1] if kernel.behaviour.drops_prefix else routing
        self.header = header
        self.msg_type = msg_type

    def publish(self, msg_type: str, content: dict[str, Any]) -> None:
        topic = f"kernel.{SESSION}.{msg_type}".encode()
        self.kernel.send("iopub", [topic], msg_type, content, self.header)

    def reply(self, content: dict[str, Any]) -> None:
        msg_type = self.msg_type.replace("_request", "_reply")
        msg_type = self.kernel.behaviour.answers_wrongly.get(self.msg_type, msg_type)
        self.kernel.send(self.channel, self.routing, msg_type, content, self.header)

    def answer(self, content: dict[str, Any]) -> bool:
        """Answer, and say whether the request is done."""
        if self.msg_type in self.kernel.behaviour.never_answers:
            return True
        if self.msg_type == "execute_request":
            for line in content["code"].splitlines():
                if not self.obey(*line.partition(" ")[::2]):
                    return False
            self.reply({"status": "ok", "execution_count": 1, "user_expressions": {}})
        elif self.msg_type == "kernel_info_request":
            info = {"protocol_version": "5.3", "implementation": "fake", "banner": ""}
            language = {"name": "fake", "version": "1", "file_extension": ".fake"}
            self.reply({"status": "ok", **info, "language_info": language, "help_links": []})
        elif self.msg_type == "shutdown_request":
            self.reply({"status": "ok", "restart": content["restart"]})
            self.publish("status", {"execution_state": "idle"})
            raise Died(0)
        elif self.msg_type.endswith("_request"):
            self.reply({"status": "ok"})
        return True

    def obey(self, command: str, rest: str) -> bool:
        """Do what one line of code says."""
        kernel = self.kernel
        match command:
            case "print":
                self.publish("stream", {"name": "stdout", "text": rest})
            case "say":
                print(rest, flush=True)
            case "flood":
                for number in range(int(rest)):
                    data = {"text/plain": str(number)}
                    self.publish("display_data", {"data": data, "metadata": {}})
                kernel.flooded.set()
            case "ask":
                asking = {"prompt": rest, "password": False}
                kernel.send("stdin", self.routing, "input_request", asking, self.header)
                frames = kernel._sockets["stdin"].recv_multipart()
                kernel.got.append(("stdin", frames[1:]))
                value = json.loads(frames[frames.index(DELIMITER) + 5])["value"]
                self.publish("stream", {"name": "stdout", "text": value})
            case "garbage":
                for frames in ([b"x"], [DELIMITER], [DELIMITER, b"0" * 64, b"{}", b"", b"", b""]):
                    kernel.send_frames(self.channel, [*self.routing, *frames])
                    kernel.send_frames("iopub", [b"kernel.garbage", *frames])
            case "silence":
                return False
            case "sleep":
                time.sleep(float(rest))
            case "die":
                raise Died(int(rest or "0"))
            case _:
                raise AssertionError(f"a fake kernel cannot {command!r}")
        return True


def main(connection_file: str, *options: str) -> None:
    """Be a kernel in a process of its own."""
    behaviour = Behaviour(**dict.fromkeys(options, True))  # type: ignore[arg-type]
    if behaviour.is_stillborn:
        print("loading", "No module named 'luck'", sep="\n", flush=True)
        sys.exit(3)
    had_bad_luck = Path("had-bad-luck")
    if behaviour.is_unlucky and not had_bad_luck.exists():
        had_bad_luck.touch()
        print("zmq.error.ZMQError:", os.strerror(errno.EADDRINUSE), flush=True)
        time.sleep(600)
    if behaviour.ignores_sigterm:
        signal.signal(signal.SIGTERM, lambda number, frame: None)

    def interrupt(number: int, frame: FrameType | None) -> None:
        print("interrupted", flush=True)

    signal.signal(signal.SIGINT, interrupt)
    kernel = FakeKernel(json.loads(Path(connection_file).read_text()), behaviour)
    print("serving", flush=True)
    status = 0
    take = kernel._take

    def take_and_remember(channel: str, frames: list[bytes]) -> None:
        nonlocal status
        try:
            take(channel, frames)
        except Died as died:
            status = died.args[0]
            raise

    kernel._take = take_and_remember  # type: ignore[method-assign]
    kernel.serve()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
