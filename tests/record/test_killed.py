"""SIGKILL at any instant: what was promised is there, and the record goes on.

The process that is killed is real, and so are its files; when it is killed is left to chance (the
seeds are the same on every run, what a processor does in a millisecond is not).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.record.document import Tree
from proxy.record.epochs import log_path, read
from proxy.record.files import RecordFiles
from tests.record.keeper import CALLS


class Keeping:
    """A process of ``keeper.py``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.blobs: list[str] = []
        """Those that the child has promised."""
        self.count = self.epoch = 0
        """How many changes, and which epoch, were promised by all children."""
        self.pid = 0
        self.doing = ""
        """What the child is about to do, or has done."""

    def start(self, seed: int) -> None:
        """Start a child."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        self.blobs.clear()
        self.doing = ""
        self.pid = int(self.line().removeprefix("pid "))

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def hear(self) -> bool:
        """Hear a promise, or what is done next. Returns whether there is more to be heard."""
        kind, _, what = self.line().partition(" ")
        match kind:
            case "count":
                self.count = int(what)
            case "epoch":
                self.epoch = int(what)
            case "blob":
                self.blobs.append(what)
            case "now":
                self.doing = what
            case "gone":
                return False
            case _:
                raise AssertionError(f"{kind} {what}")
        return True

    def kill(self) -> None:
        """Kill the child, and hear what it had promised."""
        os.kill(self.pid, signal.SIGKILL)
        while self.hear():
            pass


@contextmanager
def keeping(directory: Path) -> Iterator[Keeping]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.record.keeper", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        keeper = Keeping(process)
        try:
            yield keeper
        finally:
            if process.poll() is None and keeper.pid:
                try:
                    os.kill(keeper.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.kill()


@pytest.fixture
def directory() -> Iterator[Path]:
    """In memory, where there is such a place: fsync is for power failures, and takes its time."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="kmux-", dir=place) as name:
        yield Path(name)


def assert_whole(tree: dict[str, Tree], files: RecordFiles, keeper: Keeping) -> None:
    """All that was promised is there, and what is there is whole."""
    assert keeper.count <= int(str(tree["count"])) <= keeper.count + 1
    assert keeper.epoch <= files.epoch  # one that was begun and not finished has its number
    named = [str(value) for key, value in tree.items() if key.startswith("blob")]
    for blob in named + keeper.blobs:
        files.blobs.get(blob)
    assert not list(files.directory.rglob(".tmp-*"))
    sizes = {path.stat().st_ino: path.stat().st_size for path in files.blobs.directory.glob("??/*")}
    assert files.blobs.total_bytes == sum(sizes.values())


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "kills",
    [
        60,
        pytest.param(200, marks=pytest.mark.thorough),
        pytest.param(10_000, marks=pytest.mark.soak),
    ],
)
def test_killed_at_any_instant(directory: Path, kills: int) -> None:
    chance = random.Random(kills)
    seen = Counter[str]()
    with keeping(directory) as keeper:
        for _ in range(kills):
            keeper.start(chance.getrandbits(32))
            if chance.random() < 0.2:  # anywhere, also before it does anything
                time.sleep(chance.uniform(0, 0.02))
            else:  # while it does something
                call = chance.choice(CALLS)
                while keeper.doing != call:
                    assert keeper.hear()
                time.sleep(chance.uniform(0, 0.002 if call == "begin" else 0.0003))
            keeper.kill()
            seen["unfinished files"] += any(directory.rglob(".tmp-*"))
            seen["two epochs"] += len(list(directory.glob("epoch-*.automerge"))) == 2
            before = read(directory)
            on_disk = log_path(directory, before.epoch)
            length = on_disk.stat().st_size if on_disk.exists() else 0
            with RecordFiles(directory) as files:
                found = files.load()
                assert found.damaged == ()
                if not keeper.epoch and found.document is None:
                    continue  # nothing was promised yet
                assert found.document is not None
                assert before.document is not None
                assert found.document.heads == before.document.heads
                assert_whole(found.document.read(), files, keeper)
                seen["torn logs"] += files.log_bytes < length
    assert seen.total(), "it was killed only where nothing can go wrong"


def test_who_reads_while_it_is_written_finds_all_that_was_promised(directory: Path) -> None:
    with keeping(directory) as keeper:
        keeper.start(1)
        while not keeper.count:
            assert keeper.hear()
        for _ in range(200):
            assert keeper.hear()
            promised, epoch = keeper.count, keeper.epoch
            found = read(directory)
            assert found.document is not None
            assert int(str(found.document.read()["count"])) >= promised
            assert found.epoch >= epoch
        keeper.kill()
