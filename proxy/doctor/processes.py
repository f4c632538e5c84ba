"""Processes of this user, as /proc shows them. Who has ended meanwhile is passed over."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

PROC = Path("/proc")
SHOWN_CHARACTERS = 60
_START_TIME = 19
"""Which field of /proc/PID/stat, behind the name in parentheses, is when the process began."""


class Process(msgspec.Struct, frozen=True):
    """A process, and no other that gets its pid later."""

    pid: int
    began: int
    """In the system's ticks."""
    arguments: tuple[str, ...]
    """Empty where the system does not tell."""

    def __str__(self) -> str:
        words = " ".join(" ".join(self.arguments).split())
        short = words if len(words) <= SHOWN_CHARACTERS else f"{words[: SHOWN_CHARACTERS - 1]}…"
        return f"process {self.pid} ({short})" if short else f"process {self.pid}"


def find(pid: int) -> Process | None:
    """Return a process, if it lives."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        stat = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        raw = (PROC / str(pid) / "cmdline").read_bytes()
        if stat[0] != "Z":
            arguments = tuple(os.fsdecode(word) for word in raw.split(b"\0")[:-1])
            return Process(pid, int(stat[_START_TIME]), arguments)
    return None


def lives(process: Process) -> bool:
    """Whether it does still, and is the same."""
    now = find(process.pid)
    return now is not None and now.began == process.began


def named(pid: int) -> str:
    """Say which process that is."""
    return str(find(pid) or f"process {pid}")


def of_this_user() -> list[Process]:
    """Return all processes of this user."""
    uid, found = os.getuid(), []
    with contextlib.suppress(OSError):
        for entry in os.scandir(PROC):
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid == uid:
                    found.append(find(int(entry.name)))
    return [process for process in found if process is not None]


def environment(pid: int) -> dict[str, str] | None:
    """Return the environment that a process began with, where it can be read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(line).partition("=") for line in raw.split(b"\0") if line)
    return {name: value for name, _, value in pairs}


def sees(pid: int, path: Path) -> bool | None:
    """Whether a path is there for a process, which may be in a container. None: nobody knows."""
    try:
        (PROC / str(pid) / "root" / path.relative_to("/")).lstat()
    except FileNotFoundError:
        return False if find(pid) is not None else None
    except OSError:
        return None
    return True


def lock_holder(path: Path) -> int | None:
    """Return the process that has a file locked and its pid in it.

    The lock is not touched: who tries to take it keeps others from it meanwhile.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int(path.read_bytes()[:32])
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                about = PROC / str(pid) / "fdinfo" / descriptor.name
                if path.samefile(descriptor) and "\nlock:" in about.read_text():
                    return pid
    return None
