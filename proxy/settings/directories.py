"""Where kmux keeps things, and the environment variables that say otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from proxy.errors import ConfigError


def runtime_dir() -> Path:
    """Return kmux's own directory for sockets and kernels' private files: made, mode 0700.

    Raises :class:`ConfigError` where it cannot be made, or belongs to somebody else.
    """
    path = runtime_path()
    if leads_elsewhere(path):
        raise ConfigError(f"{path} leads elsewhere; remove it, or set KMUX_RUNTIME_DIR")
    return _private(path, "runtime directory", "KMUX_RUNTIME_DIR")


def runtime_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the runtime directory is, whether or not it is there and any good.

    ``KMUX_RUNTIME_DIR``; else ``kmux`` in ``XDG_RUNTIME_DIR``; else, as tmux does,
    ``kmux-UID`` in the directory for temporary files.
    """
    if configured := environment.get("KMUX_RUNTIME_DIR"):
        return Path(configured)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "kmux"
    import tempfile  # it takes as long to import as the rest of this package

    return Path(tempfile.gettempdir()) / f"kmux-{os.getuid()}"


def leads_elsewhere(path: Path) -> bool:
    """Whether the runtime directory is a link that anybody may have made: nobody has chosen it."""
    chosen = os.environ.get("KMUX_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    return not chosen and path.is_symlink()


def data_dir() -> Path:
    """Return kmux's own directory for what outlives it, the records: made, mode 0700.

    Raises :class:`ConfigError` as :func:`runtime_dir` does.
    """
    return _private(data_path(), "data directory", "KMUX_DATA_DIR")


def data_path() -> Path:
    """Return where the data directory is, whether or not it is there and any good.

    ``KMUX_DATA_DIR``; else ``kmux`` in ``XDG_DATA_HOME``; else ``~/.local/share/kmux``. Raises
    :class:`ConfigError` for a user without a home directory.
    """
    if configured := os.environ.get("KMUX_DATA_DIR"):
        return Path(configured)
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data) / "kmux"
    try:
        return Path.home() / ".local" / "share" / "kmux"
    except RuntimeError:  # a user id of a container, which no file knows
        raise ConfigError("this user has no home directory; set KMUX_DATA_DIR") from None


def cache_dir() -> Path:
    """Return kmux's own directory for what can be made again, the environments: made, mode 0700.

    ``KMUX_CACHE_DIR``; else ``kmux`` in ``XDG_CACHE_HOME``; else ``~/.cache/kmux``. Raises
    :class:`ConfigError` as :func:`runtime_dir` does, and for a user without a home directory.
    """
    return _private(_cache_path(), "cache directory", "KMUX_CACHE_DIR")


def _cache_path() -> Path:
    if configured := os.environ.get("KMUX_CACHE_DIR"):
        return Path(configured).absolute()
    if cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(cache) / "kmux"
    try:
        return Path.home() / ".cache" / "kmux"
    except RuntimeError:
        raise ConfigError("this user has no home directory; set KMUX_CACHE_DIR") from None


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
