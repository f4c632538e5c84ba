"""What processes take of the machine, compared with what psutil says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from proxy.daemon import process_trees
from proxy.daemon.process_trees import ProcessTrees

PARENT = """
import subprocess, sys
data = bytearray(50_000_000)
child = subprocess.Popen([sys.executable, "-c", '''
print("ready", flush=True)
input()
while True: pass
'''], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(child.pid, child.stdout.readline(), flush=True)
input()
child.stdin.write("go\\n")
child.stdin.flush()
input()
child.kill()
child.wait()
print("ended", flush=True)
input()
"""


class Tree:
    """A process with 50 MB, and a child that does nothing, or has a processor for itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid
        self.child = int(self._line().split()[0])

    def have_the_child_run(self) -> None:
        self._say()

    def end_the_child(self) -> None:
        self._say()
        self._line()
        assert self._line() == "ended\n"

    def _say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@contextmanager
def tree() -> Iterator[Tree]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        made = Tree(process)
        yield made
    finally:
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        process.communicate()


def used(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def test_memory_is_that_of_the_process_and_all_below() -> None:
    with tree() as made:
        load = ProcessTrees().look([made.pid])[made.pid]
        wanted = sum(psutil.Process(pid).memory_info().rss for pid in (made.pid, made.child))
        assert load.memory_bytes == pytest.approx(wanted, rel=0.02)
        assert load.memory_bytes > 50_000_000
        assert load.processes == 2
        assert load.cpu_percent is None, "nobody knows yet"


def test_the_processor_is_told_since_the_look_before() -> None:
    trees = ProcessTrees()
    with tree() as made:
        trees.look([made.pid, os.getpid()])
        made.have_the_child_run()
        before, begun = used(made.child), time.monotonic()
        while used(made.child) < before + 0.3:
            time.sleep(0.01)
        load = trees.look([made.pid])[made.pid]
        share = (used(made.child) - before) / (time.monotonic() - begun)
        assert load.cpu_percent == pytest.approx(100 * share, abs=20)


def test_what_ended_and_what_never_was_is_passed_over() -> None:
    trees = ProcessTrees()
    with tree() as made:
        trees.look([made.pid])
        made.have_the_child_run()
        made.end_the_child()
        load = trees.look([made.pid, 2**22 + 1])
        assert load.keys() == {made.pid}
        assert load[made.pid].processes == 1
        assert (load[made.pid].cpu_percent or 0) >= 0
    assert trees.look([made.pid]) == {}


def test_a_process_that_was_not_looked_at_before_begins_anew() -> None:
    trees = ProcessTrees()
    with tree() as made:
        trees.look([made.pid])
        assert trees.look([made.child])[made.child].cpu_percent is None
        assert trees.look([made.child])[made.child].cpu_percent is not None


def test_names_with_parentheses_and_blanks_confuse_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proc = tmp_path
    fields = "S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0 500 9999 42 0"
    for pid, name in ((7, "a) b"), (8, "R 9 (x")):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {fields}\n")
    (proc / "9").mkdir()
    (proc / "9" / "stat").write_text("9 (cut")
    monkeypatch.setattr(process_trees, "PROC", proc)
    loads = ProcessTrees().look([7, 8, 9])
    assert loads.keys() == {7, 8}
    assert loads[7].memory_bytes == 42 * process_trees.PAGE_BYTES
