"""When a record was written: its files are looked at all the time, which costs kmux nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from bench.errors import BenchError
from bench.processes import Process

SETTLED_SECONDS = 1.5
"""The recorder's interval is at most a second."""
_IDLE = 0.03
"""Of a core: what kmux takes by then, which has a heartbeat and looks at its kernel."""
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.005


@contextmanager
def watched(directory: Path) -> Iterator[list[float]]:
    """Look at the size of a record's files all the time. Yields when it was another than before."""
    growth: list[float] = []
    over = Event()

    def watch() -> None:
        before: dict[str, int] = {}
        while not over.wait(_LOOK_SECONDS):
            now = _sizes(directory)
            if now != before:
                growth.append(time.perf_counter())
                before = now

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        over.set()
        watcher.join()


def _sizes(directory: Path) -> dict[str, int]:
    try:
        with os.scandir(directory) as entries:
            return {e.name: e.stat().st_size for e in entries if e.name.startswith("epoch-")}
    except FileNotFoundError:
        return {}


def wait_until_settled(growth: list[float], process: Process) -> None:
    """Wait until a record is written: its files grow no more, and kmux has nothing to do."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        before = process.cpu_seconds()
        time.sleep(SETTLED_SECONDS)
        used = process.cpu_seconds() - before
        quiet = growth and time.perf_counter() - growth[-1] > SETTLED_SECONDS
        if quiet and used < _IDLE * SETTLED_SECONDS:
            return
        if time.monotonic() > deadline:
            raise BenchError("the record does not come to an end")
