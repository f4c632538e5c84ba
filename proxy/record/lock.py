"""One process at a time writes a record."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from proxy.errors import ConfigError
from proxy.record import disk

LOCK = "lock"


def take_lock(directory: Path) -> int:
    """Lock a record's directory. It lasts until the descriptor is closed, or this process ends.

    The file stays when the lock does not: who removes it may remove the one that another process
    has just locked. Raises :class:`ConfigError` where another process has it, and OSError.
    """
    lock = disk.open_file(directory / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        who = f"process {holder}" if holder.isdigit() else "another kmux"
        raise ConfigError(
            f"{who} writes the record of {directory.name!r}; end it, or choose another --name"
        ) from None
    except BaseException:
        os.close(lock)
        raise
    return lock
