"""The traces of kernels that outlive kmux: read, damaged, bounded."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from proxy.errors import ConfigError, KernelGone, StoreError
from proxy.kernels import keeping
from proxy.kernels.adopted import adopt
from proxy.kernels.keeping import KernelDirectory, Launch
from tests.kernels.test_supervisor import Life

Live: TypeAlias = "Callable[..., AbstractAsyncContextManager[Life]]"
LAUNCH = Launch(kernel_name="fake", interrupt_mode="signal", identity="me")


@pytest.fixture
def directory(tmp_path: Path) -> KernelDirectory:
    return KernelDirectory(tmp_path / "session")


def test_without_a_launch_there_is_nothing_to_adopt(directory: KernelDirectory) -> None:
    with pytest.raises(KernelGone, match="no kernel was launched"):
        adopt(directory)


def test_a_process_that_got_the_pid_later_is_not_taken_for_the_keeper(
    directory: KernelDirectory,
) -> None:
    os.close(directory.begin(LAUNCH))
    line = Path("/proc/self/stat").read_text()
    (directory.path / "keeper").write_text(line)
    assert directory.keeper_pid() == os.getpid()
    before, bracket, after = line.rpartition(")")
    fields = after.split()
    fields[19] = str(int(fields[19]) - 1)
    (directory.path / "keeper").write_text(f"{before}{bracket} {' '.join(fields)}")
    assert directory.keeper_pid() is None


def test_a_keeper_that_nobody_waited_for_is_over(directory: KernelDirectory) -> None:
    os.close(directory.begin(LAUNCH))
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    (directory.path / "keeper").write_text(Path(f"/proc/{child.pid}/stat").read_text())
    assert directory.keeper_pid() == child.pid
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert directory.keeper_pid() is None
    child.wait()


def test_a_kernel_may_have_as_many_files_open_as_is_said(tmp_path: Path) -> None:
    soft = 500
    directory = KernelDirectory(tmp_path, open_files=soft)
    command = [*directory.command(), "/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert said.stdout.split() == [str(soft), str(hard)]


@pytest.mark.parametrize("junk", ["", "12", "12 (sh", "12 (sh) S 1 2", "x (y) " + "z " * 30])
def test_damaged_traces_are_no_kernel(directory: KernelDirectory, junk: str) -> None:
    os.close(directory.begin(LAUNCH))
    for name in ("keeper", "pid", "exit"):
        (directory.path / name).write_text(junk)
    assert directory.keeper_pid() is None
    assert directory.exit_status() in (None, 12)
    with pytest.raises(KernelGone, match="while kmux was away"):
        adopt(directory)
    (directory.path / "launch.json").write_text(junk)
    with pytest.raises(KernelGone, match="no kernel was launched"):
        adopt(directory)


def test_a_kernel_whose_connection_file_is_gone_is_a_clear_error(
    directory: KernelDirectory,
) -> None:
    os.close(directory.begin(LAUNCH))
    (directory.path / "keeper").write_text(Path("/proc/self/stat").read_text())
    with pytest.raises(ConfigError, match=r"connection\.json"):
        adopt(directory)


def test_what_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="KMUX_DATA_DIR"):
        KernelDirectory(tmp_path / "file" / "session").begin(LAUNCH)


def test_a_long_output_loses_its_beginning(
    directory: KernelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_OUTPUT_BYTES", 1000)
    monkeypatch.setattr(keeping, "KEPT_OUTPUT_BYTES", 100)
    descriptor = directory.begin(LAUNCH)
    for number in range(300):
        os.write(descriptor, b"line %d\n" % number)
    directory.bound_output()
    os.write(descriptor, b"and on it goes\n")
    os.close(descriptor)
    lines = directory.output_file.read_text().splitlines()
    assert lines[-2:] == ["line 299", "and on it goes"]
    assert all(line.startswith("line ") for line in lines[:-1])
    assert len("\n".join(lines)) < 200
