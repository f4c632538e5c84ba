"""What /proc tells of processes: of real ones."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from proxy.doctor import processes
from proxy.doctor.processes import Process
from tests.frontends.kmux_process import until


def test_a_process_is_found_while_it_lives() -> None:
    command = ("/bin/sh", "-c", "read line", "a b", "c\nd")
    child = subprocess.Popen(command, stdin=subprocess.PIPE)

    def begun() -> Process | None:
        found = processes.find(child.pid)
        return found if found is not None and found.arguments else None

    found: Process = until(begun, "its exec is over")
    assert found.arguments == command
    assert processes.lives(found)
    assert not processes.lives(Process(child.pid, found.began - 1, found.arguments))
    assert found in processes.of_this_user()
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert processes.find(child.pid) is None
    child.wait()
    assert not processes.lives(found)
    assert processes.named(child.pid) == f"process {child.pid}"


def test_a_long_command_is_shown_in_short() -> None:
    shown = str(Process(7, 0, ("python", "-c", "x" * 100)))
    assert shown.startswith("process 7 (python -c xxx")
    assert shown.endswith("x…)")
    assert len(shown) < 75


def test_an_environment_is_read() -> None:
    mine = processes.environment(os.getpid())
    assert mine is not None
    assert mine["PATH"]
    assert processes.environment(2**22 + 1) is None


def test_what_a_process_sees(tmp_path: Path) -> None:
    assert processes.sees(os.getpid(), tmp_path) is True
    assert processes.sees(os.getpid(), tmp_path / "gone") is False
    assert processes.sees(2**22 + 1, tmp_path) is None, "nobody knows"


def test_who_has_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert processes.lock_holder(path) is None
    with path.open("w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        assert processes.lock_holder(path) is None, "it is open, and not locked"
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert processes.lock_holder(path) == os.getpid()
    assert processes.lock_holder(path) is None


@pytest.mark.parametrize("text", ["", "x", "1 2", str(2**22 + 1)])
def test_a_lock_of_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)
    assert processes.lock_holder(tmp_path / "lock") is None
