"""A terminal console, ``jupyter console --existing``, under a pseudo-terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.frontends.kmux_process import DEADLINE, Workplace

ENTER_AFTER_SECONDS = 0.5


class Console(pexpect.spawn):
    """The console, as a person has it: lines are typed, and what it shows is expected."""

    def __init__(self, workplace: Workplace, file: Path) -> None:
        super().__init__(
            sys.executable,
            ["-m", "jupyter_console", "--existing", str(file), "--simple-prompt"],
            env={**workplace.environment, "TERM": "dumb"},
            encoding="utf-8",
            timeout=DEADLINE,
            dimensions=(50, 200),
        )

    def ready(self) -> None:
        """Wait until the first line can be typed."""
        self.expect(r"In \[\d+\]: ")

    def shows(self, pattern: str) -> re.Match[str]:
        """Wait until this is shown. (What is typed is shown as well.)

        jupyter_console 6.6 listens to a cell's output until any request of its own is idle: its
        kernel_info_request at the start is one. It shows what comes later when Enter is pressed.
        """
        deadline = time.monotonic() + DEADLINE
        while self.expect([pattern, pexpect.TIMEOUT], timeout=ENTER_AFTER_SECONDS):
            assert time.monotonic() < deadline, f"not shown: {pattern}; but {self.buffer}"
            self.sendline()
        match: re.Match[str] = self.match
        return match

    def ask(self, who: str) -> None:
        """Run a cell that asks; the next prompt that is shown must be its own. Answer it."""
        self.sendline(f"print('heard', input({who!r} + '? '))")
        self.expect(r"(\w+)\? ")
        assert self.match.group(1) == who
        self.sendline("yes")
        self.shows("heard yes")


@contextmanager
def open_console(workplace: Workplace, file: Path) -> Iterator[Console]:
    """Start a console; it may not be ready yet. It is gone when the block is left."""
    console = Console(workplace, file)
    try:
        yield console
    finally:
        console.close(force=True)
