"""Where the daemon is: its socket, and the lock that there is one of."""

from __future__ import annotations

from pathlib import Path

from proxy.settings import data_dir, runtime_dir


def socket_path() -> Path:
    """Return where the daemon listens. Raises as :func:`runtime_dir`."""
    return runtime_dir() / "daemon" / "control.sock"


def lock_file() -> Path:
    """Return what the daemon locks: its sessions, of which there is one set."""
    return data_dir() / "daemon.lock"
