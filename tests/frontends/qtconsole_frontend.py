"""The real qtconsole, offscreen, in a process of its own (``qtconsole_process.py``)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.frontends.kmux_process import DEADLINE, Workplace, until
from tests.required import lacks

PROGRAM = Path(__file__).with_name("qtconsole_process.py")
QT_PACKAGES = "libgl1 libglib2.0-0 libfontconfig1"


class QtConsole:
    """A running qtconsole: what it is told to do, what it sends and receives, what it shows."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.messages: list[dict[str, Any]] = []
        """All that it sent (after its start) and received."""
        self._process = process
        self._others: list[dict[str, Any]] = []
        self._prompts = 0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            is_message = said["said"] in ("sent", "received")
            (self.messages if is_message else self._others).append(said)

    def _tell(self, order: str, argument: str | None = None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({order: argument}) + "\n")
        self._process.stdin.flush()

    def ready(self) -> None:
        """Wait until a cell can be typed; skip the test where Qt does not run."""
        until(lambda: self._others or not self._reader.is_alive(), "qtconsole has started")
        assert self._others, "qtconsole ended; see its log"
        if self._others[0]["said"] == "lacking":
            lacks(f"Qt does not run: {self._others[0]['what']}", QT_PACKAGES)
        self._shows_last("In [")

    def screen(self) -> str:
        """Return all that its window shows."""
        before = len(self._others)
        self._tell("screen")
        until(lambda: len(self._others) > before, "qtconsole says what it shows")
        text: str = self._others[-1]["text"]
        return text

    def _shows_last(self, line: str) -> None:
        """Wait for the line that can be typed on; its messages come before its window is ready."""
        until(lambda: self.screen().rpartition("\n")[2].startswith(line), f"qtconsole shows {line}")

    def hear(
        self, condition: Callable[[dict[str, Any]], bool], what: str, start: int = 0
    ) -> dict[str, Any]:
        """Wait for a message that it sent or received, by default since it was started."""

        def find() -> dict[str, Any] | None:
            return next((m for m in self.messages[start:] if condition(m)), None)

        message: dict[str, Any] = until(find, f"qtconsole: {what}")
        return message

    def _sends(self, msg_type: str, order: str, argument: str | None = None) -> str:
        """Tell it to do what makes it send a message; returns that one's msg_id."""
        start = len(self.messages)
        self._tell(order, argument)
        sent = self.hear(
            lambda m: m["said"] == "sent" and m["msg_type"] == msg_type, f"sends {msg_type}", start
        )
        msg_id: str = sent["msg_id"]
        return msg_id

    def _answer(self, msg_id: str, msg_type: str) -> dict[str, Any]:
        return self.hear(
            lambda m: m["parent"] == msg_id and m["msg_type"] == msg_type, f"receives {msg_type}"
        )

    def execute(self, code: str) -> str:
        """Run a cell, as Enter does; returns its msg_id."""
        return self._sends("execute_request", "execute", code)

    def finish(self, cell: str) -> str:
        """Wait for a cell's reply and idle; return what it printed."""

        def is_idle(message: dict[str, Any]) -> bool:
            return message["parent"] == cell and message["content"].get("execution_state") == "idle"

        self.hear(is_idle, "its cell is idle")
        self._answer(cell, "execute_reply")
        self._shows_last("In [")
        mine = [m["content"] for m in self.messages if m["parent"] == cell]
        return "".join(content["text"] for content in mine if content.get("name") == "stdout")

    def run(self, code: str) -> str:
        """Run a cell; return what it printed."""
        return self.finish(self.execute(code))

    def arrive(self) -> None:
        """Wait until kmux has all that was sent on shell: it answers kernel_info at once."""
        self._answer(self._sends("kernel_info_request", "kernel_info"), "kernel_info_reply")

    def ask(self, who: str) -> None:
        """Run a cell that asks; the next prompt that is shown must be its own. Answer it."""
        cell = self.execute(f"print('heard', input('{who}? '))")
        until(lambda: len(self.prompts) > self._prompts, "qtconsole shows a prompt")
        prompt = self.prompts[self._prompts]
        self._prompts += 1
        assert prompt["parent"] == cell, f"not its own: {prompt['content']}"
        self._shows_last(f"{who}? ")
        self._tell("type", "yes")
        printed = self.finish(cell)
        assert printed == "heard yes\n", printed

    @property
    def prompts(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["msg_type"] == "input_request"]

    def refuses(self, comm_id: str) -> str:
        """Wait until it has closed a comm whose target it does not know; returns the msg_id."""
        closed = self.hear(
            lambda m: m["msg_type"] == "comm_close" and m["content"]["comm_id"] == comm_id,
            "sends comm_close",
        )
        assert closed["said"] == "sent", "kmux closed it"
        msg_id: str = closed["msg_id"]
        return msg_id

    def close(self) -> None:
        """Leave as it does when its window is closed; it has to end by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            self._process.stdout.close()


@contextmanager
def open_qtconsole(workplace: Workplace, file: Path) -> Iterator[QtConsole]:
    """Start qtconsole; it may not be ready yet. It is gone when the block is left."""
    runtime = workplace.root / "qt"
    runtime.mkdir(mode=0o700, exist_ok=True)
    with (workplace.root / "qtconsole.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM), str(file)],
            env={
                **workplace.environment,
                "QT_API": "pyqt5",
                "QT_QPA_PLATFORM": "offscreen",
                "XDG_RUNTIME_DIR": str(runtime),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        qtconsole = QtConsole(process)
        try:
            yield qtconsole
        finally:
            qtconsole.close()
