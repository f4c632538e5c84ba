"""Where kmux keeps things, and the environment variables that say otherwise."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from proxy.errors import ConfigError


def runtime_dir() -> Path:
    """Return kmux's own directory for sockets and kernels' private files: made, mode 0700.

    ``KMUX_RUNTIME_DIR``; else ``kmux`` in ``XDG_RUNTIME_DIR``; else, as tmux does,
    ``kmux-UID`` in the directory for temporary files. Raises :class:`ConfigError` where it cannot
    be made, or belongs to somebody else.
    """
    if configured := os.environ.get("KMUX_RUNTIME_DIR"):
        path = Path(configured)
    elif runtime := os.environ.get("XDG_RUNTIME_DIR"):
        path = Path(runtime) / "kmux"
    else:
        path = Path(tempfile.gettempdir()) / f"kmux-{os.getuid()}"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = path.stat()
    except OSError as error:
        raise ConfigError(
            f"cannot use the runtime directory {path}: {error.strerror}; set KMUX_RUNTIME_DIR"
        ) from None
    if status.st_uid != os.getuid():
        raise ConfigError(f"{path} belongs to another user; set KMUX_RUNTIME_DIR to one of yours")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path
