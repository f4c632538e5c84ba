"""Where the daemon is: its socket, and the lock that there is one of."""

from __future__ import annotations

from pathlib import Path

from proxy.holding import is_held
from proxy.settings import data_dir, runtime_dir


def socket_path() -> Path:
    """Return where the daemon listens. Raises as :func:`runtime_dir`."""
    return runtime_dir() / "daemon" / "control.sock"


def lock_file() -> Path:
    """Return what the daemon locks: its sessions, of which there is one set."""
    return data_dir() / "daemon.lock"


def is_locked() -> bool:
    """Whether a daemon has its lock: it runs, or comes up."""
    return is_held(lock_file())


def has_sessions() -> bool:
    """Whether a daemon has left sessions, with their kernels. (A kernel that waited is none.)"""
    return any((data_dir() / "sessions").glob("*/session.json"))


def start_lock_file() -> Path:
    """Return what is locked by who starts the daemon."""
    return runtime_dir() / "start.lock"
