"""A file that says whether a process lives, whatever becomes of that one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proxy.holding import hold, is_held, remove_unheld

_HOLD = """
import sys, time
from pathlib import Path
from proxy.holding import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_it_is_held_until_it_is_let_go_of(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "it")
    descriptor = hold(tmp_path / "it")
    assert is_held(tmp_path / "it")
    remove_unheld(tmp_path / "it")
    assert is_held(tmp_path / "it")
    os.close(descriptor)
    assert not is_held(tmp_path / "it")
    remove_unheld(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []
    remove_unheld(tmp_path / "it")


def test_who_is_killed_holds_it_no_longer(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "it")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_held(tmp_path / "it")
        process.send_signal(signal.SIGKILL)
    assert not is_held(tmp_path / "it")


def test_who_holds_one_holds_what_others_see(tmp_path: Path) -> None:
    """Whoever removes what nobody holds may do so in the moment before it is held."""
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            remove_unheld(tmp_path / "it")

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        for _ in range(200):
            descriptor = hold(tmp_path / "it")
            assert is_held(tmp_path / "it")
            os.close(descriptor)
    finally:
        done.set()
        thread.join()


def test_what_cannot_be_held_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "nowhere" / "it")
