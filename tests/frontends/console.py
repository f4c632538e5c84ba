"""A terminal console, ``jupyter console``, under a pseudo-terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.frontends.kmux_process import DEADLINE, Client, Workplace, until

IN = r"In \[(\d+)\]: "


class Console(pexpect.spawn):
    """The console, as a person has it: lines are typed, and what it shows is expected."""

    def __init__(self, workplace: Workplace, *arguments: str, **environment: str) -> None:
        super().__init__(
            sys.executable,
            ["-m", "jupyter_console", *arguments, "--simple-prompt"],
            env={**workplace.environment, "TERM": "dumb", **environment},
            encoding="utf-8",
            timeout=DEADLINE,
            dimensions=(50, 200),
        )

    def ready(self, other: Client) -> None:
        """Wait until a line can be typed, and until its start is behind it.

        jupyter_console 6.6 listens to its cell until a request of its own is idle, whichever: the
        kernel_info_request of its start would do, and neither output nor a prompt be shown. It
        counts on when it hears of another's cell, and then has heard what was sent before.
        """
        self.expect(IN)
        wanted = other.run("None")["execution_count"] + 1

        def counts_on() -> bool:
            self.sendline(" ")  # shows what is pending, as Enter does without --simple-prompt
            self.expect(IN)
            return int(self.match.group(1)) == wanted

        until(counts_on, f"the console shows In [{wanted}]")

    def ask(self, who: str) -> None:
        """Run a cell that asks; the next prompt that is shown must be its own. Answer it."""
        self.sendline(f"print('heard', input({who!r} + '? '))")
        self.expect(r"(\w+)\? ")
        assert self.match.group(1) == who, f"not its own: {self.match.group(1)}"
        self.sendline("yes")
        self.expect("heard yes")


@contextmanager
def open_console(workplace: Workplace, file: Path) -> Iterator[Console]:
    """Join a kernel with a console; it may not be ready yet. It is gone when the block is left."""
    with console_with(workplace, "--existing", str(file)) as console:
        yield console


@contextmanager
def console_with(workplace: Workplace, *arguments: str, **environment: str) -> Iterator[Console]:
    """The same, however it gets its kernel."""
    console = Console(workplace, *arguments, **environment)
    try:
        yield console
    finally:
        console.close(force=True)
