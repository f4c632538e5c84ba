"""Where the daemon is: its socket, and the lock that there is one of."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from proxy.settings import data_dir, runtime_dir


def socket_path() -> Path:
    """Return where the daemon listens. Raises as :func:`runtime_dir`."""
    return runtime_dir() / "daemon" / "control.sock"


def lock_file() -> Path:
    """Return what the daemon locks: its sessions, of which there is one set."""
    return data_dir() / "daemon.lock"


def is_locked() -> bool:
    """Whether a daemon has its lock: it runs, or comes up."""
    try:
        descriptor = os.open(lock_file(), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def has_sessions() -> bool:
    """Whether a daemon has left sessions, with their kernels."""
    sessions = data_dir() / "sessions"
    return sessions.is_dir() and any(sessions.iterdir())


def start_lock_file() -> Path:
    """Return what is locked by who starts the daemon."""
    return runtime_dir() / "start.lock"
