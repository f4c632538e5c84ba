"""A frontend that measures: raw ZMQ sockets, nothing parsed while the clock runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zmq

from bench import messages
from bench.errors import BenchError
from bench.messages import CONTENT, DELIMITER, HEADER, PARENT, Author
from bench.raw_sockets import receive_frame, receive_message, send_frame, send_message

READY_SECONDS = 60.0
ANSWER_SECONDS = 20.0
"""After so long a silence nothing more is expected."""
_MORE = int(zmq.SNDMORE)


@dataclass(frozen=True)
class Execution:
    """When things came, in seconds after the request was sent."""

    first_output: float
    idle: float


@dataclass(frozen=True)
class Arrival:
    """What came of a burst. ``client_load`` is the share of the time that the client computed."""

    expected: int
    received: int
    in_order: bool
    seconds: float
    client_load: float

    @property
    def rate(self) -> float:
        return self.received / self.seconds

    @property
    def complete(self) -> bool:
        return self.received == self.expected and self.in_order


class Client:
    """Shell, iopub and heartbeat of one connection file."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        info: dict[str, Any],
        *,
        reconnect_ms: int | None = None,
    ) -> None:
        """``reconnect_ms`` is for a kernel that has yet to bind its ports: libzmq's 100 ms would be
        measured with it."""
        self.author = Author(info["key"])
        self._reconnect_ms = reconnect_ms
        self._shell = self._connect(context, zmq.DEALER, info, "shell")
        self._iopub = self._connect(context, zmq.SUB, info, "iopub")
        self._iopub.subscribe(b"")
        self._heartbeat = self._connect(context, zmq.REQ, info, "hb")

    def _connect(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        kind: int,
        info: dict[str, Any],
        channel: str,
    ) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0
        socket.rcvtimeo = int(ANSWER_SECONDS * 1000)
        if self._reconnect_ms is not None:
            socket.reconnect_ivl = self._reconnect_ms
        if kind == zmq.DEALER:
            socket.routing_id = self.author.session.encode()
        socket.connect(f"tcp://{info['ip']}:{info[f'{channel}_port']}")
        return socket

    def close(self) -> None:
        self.stop_listening()
        self._shell.close()
        self._heartbeat.close()

    def stop_listening(self) -> None:
        """Leave iopub: others are to be its only subscribers."""
        self._iopub.close()

    def wait_until_ready(self) -> None:
        """Ask kernel_info until there is a reply and iopub was heard. Raises BenchError."""
        deadline = time.monotonic() + READY_SECONDS
        replied = heard = False
        while not (replied and heard):
            if time.monotonic() > deadline:
                raise BenchError(f"no answer in {READY_SECONDS:.0f} s (iopub heard: {heard})")
            send_message(self._shell, self.author.message("kernel_info_request", {}))
            replied |= bool(self._shell.poll(500))
            heard |= bool(self._iopub.poll(100))
        time.sleep(0.2)
        for socket in (self._shell, self._iopub):
            while socket.poll(50):
                receive_message(socket)

    def greet(self) -> None:
        """Ask kernel_info once; wait for the reply, and until iopub was heard."""
        msg_id = self.send(self.author.message("kernel_info_request", {}))
        self.hear(lambda _: True)
        self.finish(msg_id)

    def ping(self) -> None:
        """Send one heartbeat and wait for its echo."""
        self._heartbeat.send(b"ping")
        self._heartbeat.recv()

    def ask(self, msg_type: str, content: dict[str, Any]) -> None:
        """Send a request and wait for its reply."""
        self.finish(self.send(self.author.message(msg_type, content)))

    def send(self, request: list[bytes]) -> bytes:
        """Send a request. Returns its msg_id."""
        send_message(self._shell, request)
        return messages.id_of(request[HEADER])

    def finish(self, msg_id: bytes) -> list[bytes]:
        """Wait for the reply to the request with this msg_id."""
        while True:
            reply = receive_message(self._shell)
            if msg_id in reply[PARENT]:
                return reply

    def hear(self, wanted: Callable[[list[bytes]], bool]) -> list[bytes]:
        """Receive from iopub until a message is the wanted one, and return it: topic first."""
        while True:
            message = receive_message(self._iopub)
            if wanted(message):
                return message

    def comm_messages(self, until: bytes) -> list[tuple[float, list[bytes]]]:
        """Receive until the idle of a request. Returns each comm_msg, and when it came."""
        came: list[tuple[float, list[bytes]]] = []
        ended = idle_of(until)
        while True:
            message = receive_message(self._iopub)
            now = time.perf_counter()
            if b'"comm_msg"' in message[1 + HEADER]:
                came.append((now, message))
            elif ended(message):
                return came

    def all_of(self, cell: bytes) -> list[list[bytes]]:
        """Receive what is published for a cell, until it is idle."""
        came: list[list[bytes]] = []
        ended = idle_of(cell)
        while True:
            message = receive_message(self._iopub)
            if ended(message):
                return came
            if cell in message[1 + PARENT]:
                came.append(message)

    def has_reply(self) -> bool:
        """Whether a reply has come that nobody has waited for yet."""
        return bool(self._shell.poll(0))

    def send_cell(self, code: str, *, allow_stdin: bool = False) -> bytes:
        """Send a cell. Returns its msg_id."""
        content = execute_content(code, allow_stdin=allow_stdin)
        return self.send(self.author.message("execute_request", content))

    def start_cell(self, code: str) -> bytes:
        """Send a cell and wait until its code runs. Returns its msg_id."""
        cell = self.send_cell(f"print('begun', flush=True)\n{code}")
        self.hear_print(cell)
        return cell

    def hear_print(self, cell: bytes) -> None:
        """Wait until a cell has printed something."""
        self.hear(lambda m: cell in m[1 + PARENT] and b'"stream"' in m[1 + HEADER])

    def end_cell(self, cell: bytes) -> list[bytes]:
        """Wait for a cell's idle and its reply. Returns the reply."""
        self.hear(idle_of(cell))
        return self.finish(cell)

    def run(self, code: str) -> None:
        """Run a cell to its end. Raises :class:`BenchError` where it fails."""
        reply = self.end_cell(self.send_cell(code))
        if b'"error"' in reply[CONTENT]:
            raise BenchError(f"{code!r} failed: {reply[CONTENT].decode(errors='replace')[:500]}")

    def round_trips(self, requests: Sequence[list[bytes]]) -> list[float]:
        """Send requests one at a time; return how long each one's reply took, in seconds.

        Raises :class:`BenchError` where a reply is not the request's own or wrongly signed.
        """
        shell, send, receive, now = self._shell, send_frame, receive_frame, time.perf_counter
        replies, times = [], []
        for delimiter, signature, header, parent, metadata, content in requests:
            start = now()
            send(shell, delimiter, _MORE)
            send(shell, signature, _MORE)
            send(shell, header, _MORE)
            send(shell, parent, _MORE)
            send(shell, metadata, _MORE)
            send(shell, content)
            reply = [
                receive(shell),
                receive(shell),
                receive(shell),
                receive(shell),
                receive(shell),
                receive(shell),
            ]
            times.append(now() - start)
            replies.append(reply)
        for request, reply in zip(requests, replies, strict=True):
            if reply[PARENT] != request[HEADER] or not self.author.signed_rightly(reply):
                raise BenchError("a reply is not the request's own, or wrongly signed")
        return times

    def execute(self, code: str) -> Execution:
        """Run a cell that has one result."""
        request = self.author.message("execute_request", execute_content(code))
        start = time.perf_counter()
        msg_id = self.send(request)
        first_output = 0.0
        while True:
            message = receive_message(self._iopub)
            now = time.perf_counter()
            if msg_id not in message[1 + PARENT]:
                continue
            if b'"execute_result"' in message[1 + HEADER]:
                first_output = first_output or now - start
            elif is_idle(message[-1]):
                break
        self.finish(msg_id)
        if not first_output:
            raise BenchError(f"{code!r} gave no result")
        return Execution(first_output, now - start)

    def cells_at_once(self, code: str, count: int) -> float:
        """Send this many cells at once. Returns the seconds until the last one is idle."""
        content = execute_content(code)
        requests = [self.author.message("execute_request", content) for _ in range(count)]
        start = time.perf_counter()
        last = b""
        for request in requests:
            last = self.send(request)
        while True:
            message = receive_message(self._iopub)
            if last in message[1 + PARENT] and is_idle(message[-1]):
                break
        took = time.perf_counter() - start
        for request in requests:
            self.finish(messages.id_of(request[HEADER]))
        return took

    def prepare_burst(self, count: int) -> list[bytes]:
        """Have the synthetic kernel build a burst. Returns the request that sets it off."""
        trigger = self.author.message("execute_request", execute_content('{"do": "burst"}'))
        order = {"do": "prepare", "count": count, "parent": trigger[HEADER].decode()}
        self.ask("execute_request", execute_content(json.dumps(order)))
        return trigger

    def burst(self, request: list[bytes], count: int) -> Arrival:
        """Send a request that makes the kernel publish ``count`` numbered outputs."""
        iopub, receive = self._iopub, receive_frame
        contents: list[bytes] = []
        start, computed = time.perf_counter(), time.thread_time()
        msg_id = self.send(request)
        complete = False
        while not complete:
            try:
                receive(iopub)  # the topic
            except zmq.Again:
                break
            if receive(iopub) != DELIMITER:
                raise BenchError("an iopub message does not have seven frames")
            receive(iopub)
            receive(iopub)
            parent = receive(iopub)
            receive(iopub)
            content = receive(iopub)
            contents.append(content)
            if len(content) < 64 and is_idle(content) and msg_id in parent:
                complete = True
        seconds, computed = time.perf_counter() - start, time.thread_time() - computed
        if complete:
            self.finish(msg_id)
        numbers = [n for n in map(messages.number_of, contents) if n is not None]
        return Arrival(
            count, len(numbers), numbers == sorted(set(numbers)), seconds, computed / seconds
        )


def execute_content(code: str, *, allow_stdin: bool = False) -> dict[str, Any]:
    """Return the content of an execute_request."""
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": allow_stdin,
        "stop_on_error": True,
    }


def is_idle(content: bytes) -> bool:
    """Whether this is the content of the status message that ends a request."""
    return b'"execution_state"' in content and b'"idle"' in content


def idle_of(msg_id: bytes) -> Callable[[list[bytes]], bool]:
    """Return what tells the idle of a request from other iopub messages."""
    return lambda message: msg_id in message[1 + PARENT] and is_idle(message[-1])
