"""Processes of a run: started, watched, and each ended by its own id whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

STOP_SECONDS = 8.0
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class Process:
    """A child process. Made by :func:`running`."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self._popen = popen
        self._log = log

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far, to the nanosecond."""
        return cpu_seconds(self.pid)

    def settled_cpu_seconds(self) -> float:
        """Like :meth:`cpu_seconds`, once it has stopped to rise."""
        deadline = time.monotonic() + 3.0
        last = self.cpu_seconds()
        while time.monotonic() < deadline:
            time.sleep(0.05)
            now = self.cpu_seconds()
            if now - last < 0.001:
                return now
            last = now
        return last

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def sleeps(self) -> int:
        """How often its main thread went to sleep so far: once for each time that it woke up."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def check(self) -> None:
        """Raise :class:`BenchError` with its last words if it has ended."""
        if self._popen.poll() is not None:
            said = self._log.read_text(errors="replace")[-2000:].strip()
            raise BenchError(f"{self.name} ended with status {self._popen.returncode}: {said}")

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOP_SECONDS)


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
) -> Iterator[Process]:
    """Run a command while the context lasts; its output goes to a file in ``directory``.

    It has a session of its own: a Ctrl-C goes to the benchmark alone, which ends it in order.
    """
    log = directory / f"{name}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - the other threads are libzmq's
        )
    process = Process(name, popen, log)
    try:
        yield process
    finally:
        process.stop()


def _die_with_parent() -> Callable[[], None]:
    """Make a function for the child, between fork and exec: SIGKILL when the benchmark dies."""
    parent = os.getpid()

    def ask() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def wait_for_file(path: Path, process: Process, seconds: float = 30.0) -> None:
    """Wait until a process has written a file. Raises :class:`BenchError` where it does not."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{process.name} wrote no {path.name} in {seconds:.0f} s")
        time.sleep(0.02)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


@dataclass(frozen=True)
class Memory:
    """What a process has of it, in bytes: RSS, and PSS, in which what is shared counts in part."""

    resident: int
    proportional: int


def memory_of(pid: int) -> Memory:
    """Look at a process's memory (proc(5), ``smaps_rollup``)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)
