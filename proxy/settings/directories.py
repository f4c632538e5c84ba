"""Where kmux keeps things, and the environment variables that say otherwise."""

from __future__ import annotations

import os
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
        import tempfile  # it takes as long to import as the rest of this package

        path = Path(tempfile.gettempdir()) / f"kmux-{os.getuid()}"
        if path.is_symlink():  # anybody may have made it
            raise ConfigError(f"{path} leads elsewhere; remove it, or set KMUX_RUNTIME_DIR")
    return _private(path, "runtime directory", "KMUX_RUNTIME_DIR")


def data_dir() -> Path:
    """Return kmux's own directory for what outlives it, the records: made, mode 0700.

    ``KMUX_DATA_DIR``; else ``kmux`` in ``XDG_DATA_HOME``; else ``~/.local/share/kmux``. Raises
    :class:`ConfigError` as :func:`runtime_dir` does.
    """
    if configured := os.environ.get("KMUX_DATA_DIR"):
        path = Path(configured)
    elif data := os.environ.get("XDG_DATA_HOME"):
        path = Path(data) / "kmux"
    else:
        try:
            path = Path.home() / ".local" / "share" / "kmux"
        except RuntimeError:  # a user id of a container, which no file knows
            raise ConfigError("this user has no home directory; set KMUX_DATA_DIR") from None
    return _private(path, "data directory", "KMUX_DATA_DIR")


def log_file() -> Path:
    """Return where the daemon logs. Raises as :func:`data_dir`."""
    return data_dir() / "daemon.log"


def config_file() -> Path | None:
    """Return where the settings are, whether or not there is such a file.

    ``KMUX_CONFIG``; else ``kmux/config.toml`` in ``XDG_CONFIG_HOME``; else in ``~/.config``. None
    for a user without a home directory.
    """
    if configured := os.environ.get("KMUX_CONFIG"):
        return Path(configured).absolute()
    if config := os.environ.get("XDG_CONFIG_HOME"):
        return Path(config) / "kmux" / "config.toml"
    try:
        return Path.home() / ".config" / "kmux" / "config.toml"
    except RuntimeError:
        return None


def _private(path: Path, what: str, variable: str) -> Path:
    """Make a directory that nobody else can look into."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = path.stat()
    except OSError as error:
        raise ConfigError(
            f"cannot use the {what} {path}: {error.strerror}; set {variable}"
        ) from None
    if status.st_uid != os.getuid():
        raise ConfigError(f"{path} belongs to another user; set {variable} to one of yours")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path
