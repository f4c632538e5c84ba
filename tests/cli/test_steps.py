"""What a person sees while an environment is being made: a line that changes, or lines."""

from __future__ import annotations

import sys

import pexpect
import pytest

from tests.daemon.test_choosing import wants
from tests.frontends.kmux_process import Daemon

pytestmark = pytest.mark.timeout(120)


def test_a_terminal_has_one_line_that_is_gone_in_the_end(daemon: Daemon) -> None:
    notebook = wants(daemon.workplace.root / "a.ipynb", "six==1.16.0")
    environment = {**daemon.workplace.environment, "TERM": "xterm", "COLUMNS": "80"}
    command = ["-m", "proxy", "new", "--notebook", str(notebook)]
    terminal = pexpect.spawn(sys.executable, command, env=environment, encoding="utf-8", timeout=60)
    try:
        terminal.expect_exact("six==1.16.0")
        terminal.expect_exact("Install these for")
        terminal.sendline("y")
        terminal.expect_exact("\r\x1b[Ksolving")
        terminal.expect_exact("\r\x1b[Kinstalling")
        terminal.expect_exact("\r\x1b[K")
        terminal.expect_exact("a: kernel python3")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert terminal.exitstatus == 0
