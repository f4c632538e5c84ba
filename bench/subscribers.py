"""Many iopub subscribers: processes that hold several sockets each, driven over a pipe.

``python -m bench.subscribers`` reads orders from stdin, one a line: ``{"url", "token", "sockets",
"msg_id"}`` (ZMQ has no use for the token). It connects that many SUB sockets, writes ``"ready"``
once each of them has heard anything, receives until each has heard the idle of that request, and
writes ``{"numbers": [[how many in order, the last one], …], "finished": monotonic seconds}``.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import zmq

from bench import messages
from bench.client import is_idle
from bench.errors import BenchError
from bench.processes import STOP_SECONDS
from bench.raw_sockets import receive_frame
from bench.workspace import Workspace

PROCESSES = 4
SILENCE_SECONDS = 30
_NOBLOCK = int(zmq.NOBLOCK)
_MESSAGES_PER_TURN = 100


@dataclass(frozen=True)
class Heard:
    """What all subscribers got of one burst. ``finished`` is monotonic time, seconds."""

    complete: bool
    fewest: int
    finished: float


class Subscribers:
    """The processes. Made by :func:`open_subscribers`."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes
        self._used: list[subprocess.Popen[str]] = []

    def connect(self, url: str, subscribers: int, msg_id: bytes, token: str = "") -> None:
        """Have so many sockets connect and wait for the outputs of a request."""
        shares = [len(range(i, subscribers, PROCESSES)) for i in range(PROCESSES)]
        self._used = [p for p, share in zip(self._processes, shares, strict=True) if share]
        for process, share in zip(self._processes, shares, strict=True):
            if share:
                order = {"url": url, "token": token, "sockets": share, "msg_id": msg_id.decode()}
                assert process.stdin is not None
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()

    def wait_until_ready(self, make_kernel_speak: Callable[[], None]) -> None:
        """Wait until every socket has heard something."""
        deadline = time.monotonic() + SILENCE_SECONDS
        waiting = list(self._used)
        while waiting:
            if time.monotonic() > deadline:
                raise BenchError("subscribers hear nothing")
            make_kernel_speak()
            speaking, _, _ = select.select([_output(p) for p in waiting], [], [], 0.1)
            for process in tuple(waiting):
                if process.stdout in speaking:
                    self._answer(process)
                    waiting.remove(process)

    def is_over(self) -> bool:
        """Whether all of them have heard the end."""
        outputs = [_output(process) for process in self._used]
        return len(select.select(outputs, [], [], 0)[0]) == len(outputs)

    def heard(self, count: int) -> Heard:
        """Wait for the end of the burst of ``count`` outputs."""
        answers = [self._answer(process) for process in self._used]
        numbers = [pair for answer in answers for pair in answer["numbers"]]
        return Heard(
            all(pair == [count, count - 1] for pair in numbers),
            min(received for received, _ in numbers),
            max(answer["finished"] for answer in answers),
        )

    def _answer(self, process: subprocess.Popen[str]) -> Any:
        line = _output(process).readline()
        if not line:
            raise BenchError("a subscriber process ended, or heard nothing any more")
        return json.loads(line)


def _output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@contextlib.contextmanager
def open_subscribers(
    workspace: Workspace, module: str = "bench.subscribers"
) -> Iterator[Subscribers]:
    """Run the processes while the context lasts; they end when their stdin is closed."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for _ in range(PROCESSES):
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                env=workspace.environment,
                cwd=workspace.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            processes.append(process)
        yield Subscribers(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait(STOP_SECONDS)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


class _Subscriber:
    """One socket, and what it has heard."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], url: str, msg_id: bytes) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = 0
        self.socket.subscribe(b"")
        self.socket.connect(url)
        self.heard_anything = False
        self.received = 0
        self.last = -1
        self.done = False
        self._msg_id = msg_id

    def drain(self) -> None:
        """Take in what is there, up to a turn."""
        socket, receive = self.socket, receive_frame
        for _ in range(_MESSAGES_PER_TURN):
            try:
                receive(socket, _NOBLOCK)  # the topic
            except zmq.Again:
                return
            receive(socket)
            receive(socket)
            receive(socket)
            parent = receive(socket)
            receive(socket)
            content = receive(socket)
            self.heard_anything = True
            if len(content) < 64:
                if is_idle(content) and self._msg_id in parent:
                    self.done = True
            else:
                number = messages.number_of(content)
                if number is not None and number > self.last:
                    self.received += 1
                    self.last = number


def _obey(context: zmq.Context[zmq.Socket[bytes]], order: dict[str, Any]) -> None:
    msg_id = order["msg_id"].encode()
    subscribers = [_Subscriber(context, order["url"], msg_id) for _ in range(order["sockets"])]
    poller = zmq.Poller()
    by_socket = {}
    for subscriber in subscribers:
        poller.register(subscriber.socket, zmq.POLLIN)
        by_socket[subscriber.socket] = subscriber
    ready = False
    while not all(subscriber.done for subscriber in subscribers):
        events = poller.poll(SILENCE_SECONDS * 1000)
        if not events:
            sys.exit("nothing was heard any more")
        for socket, _ in events:
            by_socket[socket].drain()
        if not ready and all(subscriber.heard_anything for subscriber in subscribers):
            ready = True
            print('"ready"', flush=True)
    finished = time.monotonic()
    for subscriber in subscribers:
        subscriber.socket.close()
    numbers = [[subscriber.received, subscriber.last] for subscriber in subscribers]
    print(json.dumps({"numbers": numbers, "finished": finished}), flush=True)


def main() -> None:
    with zmq.Context() as context:
        for line in sys.stdin:
            _obey(context, json.loads(line))


if __name__ == "__main__":
    main()
