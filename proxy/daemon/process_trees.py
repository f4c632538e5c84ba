"""What kernels take of the machine, as /proc shows it: a process and all that it started.

Two looks tell how much of the processor a tree has had in between. What a process has used counts
from when it is seen first, or from its beginning where that was after the last look; what ended in
between is not seen. Memory is what is resident: pages that processes share count for each of them.

One look reads a line of each process of the machine (5 µs), however many trees there are.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat (proc(5)) that come behind the name in parentheses, counted from there.
_PARENT, _USER, _SYSTEM, _BEGAN, _PAGES = 1, 11, 12, 19, 21

Key = tuple[int, int]
"""A pid, and when its process began: no other process gets both."""


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel takes, with all processes that it started."""

    cpu_percent: float | None
    """Of one processor, since the look before; None at the first look."""
    memory_bytes: int
    processes: int


class _Process(msgspec.Struct, frozen=True):
    parent: int
    began: int
    """In ticks since the machine was started."""
    ticks: int
    """What it has had of the processor."""
    pages: int


class ProcessTrees:
    """Looks at trees of processes again and again. Called in one thread at a time."""

    def __init__(self) -> None:
        self._seen: dict[Key, int] = {}
        """What each process had used when it was looked at last."""
        self._roots: set[Key] = set()
        self._looked_at = 0.0

    def look(self, pids: Collection[int]) -> dict[int, Load]:
        """Return what each of these processes takes that there is. Raises nothing."""
        now = time.monotonic()
        table = dict(_all())
        children: dict[int, list[int]] = {}
        for pid, process in table.items():
            children.setdefault(process.parent, []).append(pid)
        seen: dict[Key, int] = {}
        loads: dict[int, Load] = {}
        for root in pids:
            if root in table:
                tree = {pid: table[pid] for pid in _below(root, children)}
                loads[root] = self._load(root, tree, now)
                seen.update(((pid, each.began), each.ticks) for pid, each in tree.items())
        self._seen, self._looked_at = seen, now
        self._roots = {(root, table[root].began) for root in loads}
        return loads

    def _load(self, root: int, tree: dict[int, _Process], now: float) -> Load:
        percent = None
        if (root, tree[root].began) in self._roots and now > self._looked_at:
            used = sum(
                each.ticks - self._seen.get((pid, each.began), 0) for pid, each in tree.items()
            )
            percent = 100 * used / TICKS / (now - self._looked_at)
        return Load(
            cpu_percent=percent,
            memory_bytes=sum(each.pages for each in tree.values()) * PAGE_BYTES,
            processes=len(tree),
        )


def _below(root: int, children: dict[int, list[int]]) -> set[int]:
    """Return a process and all below it. (What is read one after the other may be a circle.)"""
    found, left = {root}, [root]
    while left:
        new = [pid for pid in children.get(left.pop(), ()) if pid not in found]
        found.update(new)
        left += new
    return found


def _all() -> Iterator[tuple[int, _Process]]:
    """Read all processes. Who has ended meanwhile is passed over."""
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                yield int(name), _read(PROC / name / "stat")


def _read(file: Path) -> _Process:
    with open(file, "rb", buffering=0) as stream:
        fields = stream.read(4096).rpartition(b")")[2].split()
    return _Process(
        parent=int(fields[_PARENT]),
        began=int(fields[_BEGAN]),
        ticks=int(fields[_USER]) + int(fields[_SYSTEM]),
        pages=int(fields[_PAGES]),
    )
