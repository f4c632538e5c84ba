"""Take a path for a Unix socket that listens, so that one process has it and none can steal it.

The socket is made aside, private and listening, and then given its name: who finds it can connect.
What had the name is replaced if nobody listens there any more: its owner was killed. The directory
is locked meanwhile, since of two that start at once the second one might replace the first one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from proxy.errors import ConfigError, Conflict


class PrivateSocket:
    """A Unix socket that listens on a path. Made by :func:`listen_on`."""

    def __init__(self, path: Path, socket: socket.socket, inode: int) -> None:
        self.path = path
        self.socket = socket
        self._inode = inode

    def close(self) -> None:
        """Close it, and take it away if nobody has replaced it."""
        self.socket.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


def listen_on(path: Path, backlog: int) -> PrivateSocket:
    """Listen on a path. Its directory is made where it is missing, and must be its owner's alone.

    Raises :class:`ConfigError` where that cannot be, :class:`Conflict` where somebody listens.
    """
    _make_private(path.parent)
    with _locked(path.parent):
        if is_served(path):
            raise Conflict(f"somebody listens on {path} already; end it first")
        aside = path.with_name(f".{secrets.token_hex(3)}")  # a socket's path has 107 bytes
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(aside))
            aside.chmod(0o600)
            listener.listen(backlog)
            inode = aside.stat().st_ino
            aside.rename(path)
        except OSError as error:
            listener.close()
            aside.unlink(missing_ok=True)
            raise _cannot_listen(path, error) from None
    return PrivateSocket(path, listener, inode)


def _make_private(directory: Path) -> None:
    """Make a directory that nobody else can look into. One that is there must be so."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = directory.stat()
    except OSError as error:
        raise ConfigError(f"cannot use {directory}: {error.strerror or error}") from None
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigError(
            f"others can get at {directory}: a socket needs a directory of your own, of mode 700"
        )


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock a directory, for a few system calls. It leaves nothing behind, whoever is killed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_left(path: Path) -> bool:
    """Take a socket away that nobody listens on. Returns whether it was one.

    Raises :class:`ConfigError` where that cannot be told, and OSError where it cannot be done.
    """
    with _locked(path.parent):
        if is_served(path):
            return False
        path.unlink()
    return True


def is_served(path: Path) -> bool:
    """Whether somebody listens there. Raises :class:`ConfigError` where no socket can be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return False
        except ConnectionRefusedError:
            if path.is_socket():
                return False
            raise ConfigError(f"{path} is no socket; remove it, or choose another path") from None
        except BlockingIOError:  # it has no time for more
            return True
        except OSError as error:
            raise _cannot_listen(path, error) from None
    return True


def _cannot_listen(path: Path, error: OSError) -> ConfigError:
    why = error.strerror or error
    return ConfigError(f"cannot listen on {path}: {why}; choose a shorter path of your own")
