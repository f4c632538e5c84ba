"""A list that is watched, on a terminal and by a script."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest

from tests.frontends.kmux_process import DEADLINE, Daemon

pytestmark = pytest.mark.timeout(120)


@contextmanager
def watching(daemon: Daemon, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command that goes on; it ends by Ctrl-C, and well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *command],
        env=daemon.workplace.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_script_reads_a_line_for_each_change(daemon: Daemon) -> None:
    with watching(daemon, "ps", "--watch", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == []
        daemon.kmux("new", "watched")
        seen = []
        while not seen or seen[-1]["status"] != "idle":
            ((row),) = json.loads(process.stdout.readline())
            assert row not in seen[-1:], "no change"
            seen.append(row)
        assert seen[-1]["name"] == "watched"
        daemon.kmux("stop", "watched")
        assert json.loads(process.stdout.readline()) == []


def test_a_person_sees_it_redrawn(daemon: Daemon) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "proxy", "notebooks", "--watch"],
        env={**daemon.workplace.environment, "TERM": "xterm"},
        encoding="utf-8",
        timeout=DEADLINE,
        dimensions=(24, 200),
    )
    try:
        terminal.expect("No notebook has a shared kernel")
        notebook = daemon.workplace.root / "a.ipynb"
        daemon.kmux("new", "--notebook", str(notebook))
        terminal.expect_exact("\x1b[2K")  # what was there is erased
        terminal.expect("NOTEBOOK .*PEERS")
        terminal.expect(r"a\.ipynb .*python3 .* idle .*0")
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 0
    finally:
        terminal.close(force=True)
