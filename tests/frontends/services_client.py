"""A frontend on ``@jupyterlab/services`` in a process of Node: what VS Code has inside.

It is told what to do, and tells what it sees, in lines of JSON.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import npm
from tests.frontends.kmux_process import DEADLINE, Daemon

SOURCES = Path(__file__).parent / "npm"

Event = dict[str, Any]
Condition = Callable[[Event], bool]


class Refused(Exception):
    """What a promise was rejected with. ``status`` is that of the HTTP response, if any."""

    def __init__(self, why: str, status: int | None) -> None:
        super().__init__(why)
        self.status = status


class ServicesClient:
    """One process. Made by :func:`services_client`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._asked = 0
        self._events: list[Event] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self._events.append(json.loads(line))
                self._more.notify_all()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def do(self, command: str, **more: Any) -> int:
        """Tell it to do something. Returns the number of its answer."""
        self._asked += 1
        assert self.process.stdin is not None
        line = json.dumps({"do": command, "number": self._asked, **more})
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self._asked

    def ask(self, command: str, **more: Any) -> Any:
        """Have something done, and return what came of it. Raises :class:`Refused`."""
        return self.answer(self.do(command, **more))

    def answer(self, number: int) -> Any:
        """Wait for an answer. Raises :class:`Refused`."""
        answer = self.hear("answer", lambda event: event["number"] == number)
        if "error" in answer:
            raise Refused(answer["error"], answer["status"])
        return answer["value"]

    def hear(
        self,
        kind: str,
        condition: Condition = lambda event: True,
        seconds: float = DEADLINE,
        *,
        takes: bool = True,
    ) -> Event:
        """Wait for an event, and take it; the others are left for whoever waits for them."""
        deadline, looked_at = time.monotonic() + seconds, 0
        with self._more:
            while True:
                for number, event in enumerate(self._events[looked_at:], looked_at):
                    assert event["event"] != "failed", event["why"]
                    if event["event"] == kind and condition(event):
                        return self._events.pop(number) if takes else event
                looked_at = len(self._events)
                if not self._more.wait(deadline - time.monotonic()):
                    raise AssertionError(f"not heard: {kind}; {self._events[-5:]}")

    def take(self, kind: str, condition: Condition = lambda event: True) -> list[Event]:
        """Take all events of a kind that there are by now."""
        with self._more:
            taken = [e for e in self._events if e["event"] == kind and condition(e)]
            self._events = [e for e in self._events if e not in taken]
        return taken

    # Conversations

    def execute(self, name: str, code: str, **content: Any) -> str:
        """Begin a cell on a kernel connection. Returns the name under which it is told of."""
        cell = f"{name}-{self._asked + 1}"
        self.ask("execute", name=name, cell=cell, code=code, **content)
        return cell

    def outputs(self, cell: str, seconds: float = DEADLINE) -> Event:
        """Wait until a cell is done. Returns its reply; :attr:`text` is what it has printed, and
        :attr:`messages` all that its future was given."""
        done = self.hear("done", lambda event: event["cell"] == cell, seconds)
        self.messages = self.take("output", lambda event: event["cell"] == cell)
        self.replies = self.take("reply", lambda event: event["cell"] == cell)
        streams = [each for each in self.messages if each["type"] == "stream"]
        self.text = "".join(each["content"]["text"] for each in streams)
        content: Event = done["content"]
        return content

    def run(self, name: str, code: str) -> str:
        """Run a cell that must succeed. Returns what it prints."""
        reply = self.outputs(self.execute(name, code))
        assert reply["status"] == "ok", reply
        return self.text

    def hear_stream(self, cell: str, text: str) -> None:
        """Wait until a cell has printed something, which stays to be looked at."""

        def is_it(event: Event) -> bool:
            return event.get("cell") == cell and text in event["content"].get("text", "")

        self.hear("output", is_it, takes=False)


def packed(*buffers: bytes) -> list[str]:
    """Buffers as they are told of."""
    return [base64.b64encode(each).decode() for each in buffers]


@contextmanager
def services_client(
    daemon: Daemon, *, url: str | None = None, read_only: bool = False
) -> Iterator[ServicesClient]:
    """Start one that knows the daemon's address, or this one instead; it is ended in the end."""
    place = daemon.json("web", *(["--read-only"] if read_only else []))
    directory = npm.install(SOURCES, "npm-frontends")
    process = subprocess.Popen(
        ["node", "services.mjs"],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    client = ServicesClient(process)
    try:
        client.ask("open", url=url or place["url"], token=place["token"])
        yield client
    finally:
        client.close()
