"""Two processes never write one record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.record.lock import LOCK, take_lock

HOLDER = """
import sys
from pathlib import Path
from proxy.record.lock import take_lock
take_lock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def test_who_comes_second_is_told_who_has_it_and_gets_it_when_that_one_is_killed(
    tmp_path: Path,
) -> None:
    record = tmp_path / "analysis"
    record.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(record)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            with pytest.raises(ConfigError, match=f"process {holder.pid} .*'analysis'.*--name"):
                take_lock(record)
        finally:
            holder.kill()
    os.close(take_lock(record))


def test_it_is_for_one_of_a_process_as_well(tmp_path: Path) -> None:
    lock = take_lock(tmp_path)
    with pytest.raises(ConfigError, match=f"process {os.getpid()} "):
        take_lock(tmp_path)
    (tmp_path / LOCK).write_text("")
    with pytest.raises(ConfigError, match="another kmux writes"):
        take_lock(tmp_path)
    os.close(lock)
    os.close(take_lock(tmp_path))


def test_a_program_that_is_started_does_not_keep_it(tmp_path: Path) -> None:
    """A kernel may outlive kmux."""
    lock = take_lock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        close_fds=False,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"\n"
        os.close(lock)
        os.close(take_lock(tmp_path))
