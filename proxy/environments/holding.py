"""A file that a process holds while it lives: who finds it knows whether that one still does.

The lock is the system's and ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def hold(path: Path) -> int:
    """Make a file and hold it until the descriptor that is returned is closed.

    Raises :class:`OSError`.
    """
    free = path.with_name(f".{path.name}")  # nobody finds it before we hold it
    descriptor = os.open(free, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        free.rename(path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def is_held(path: Path) -> bool | None:
    """Whether somebody holds it; None where there is no such file.

    Raises :class:`OSError` where that cannot be said.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
