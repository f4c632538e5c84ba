"""When a record was written: its files are looked at all the time, which costs kmux nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from bench.errors import BenchError

SETTLED_SECONDS = 3.0
"""A record that has not grown for so long is written. Its interval is at most a second."""
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


def wait_until_settled(growth: list[float]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not growth or time.perf_counter() - growth[-1] < SETTLED_SECONDS:
        if time.monotonic() > deadline:
            raise BenchError("the record does not come to an end")
        time.sleep(0.05)
