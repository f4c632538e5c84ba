"""A log that never grows past its size, and never fails whoever writes into it.

``daemon.log`` is written to. When it is full it becomes ``daemon.log.1``, which has become
``daemon.log.2``, and so on; the oldest is gone. Several processes may write into one log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class LogFile:
    """Appends lines, as structlog's loggers want it: one thread at a time, and never an error.

    Every line is on its way to the disk when :meth:`write` returns: a crash loses none.
    """

    def __init__(self, path: Path, *, max_bytes: int, files: int) -> None:
        self.lost = 0
        """Lines that the system did not take, since the last one that it took."""
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._descriptor: int | None = None
        self._file: tuple[int, int] | None = None
        self._is_torn = False
        """Whether what was written last is the beginning of a line that was lost."""

    def write(self, text: str) -> None:
        """Append a line. Where the system refuses (the disk is full), it is lost, and counted."""
        line = text.encode("utf-8", "backslashreplace")
        try:
            self._append(self._ready(len(line)), line)
        except OSError:
            self.lost += 1
        else:
            self.lost = 0

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Let go of the file. Who writes again opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = self._file = None

    def _ready(self, size: int) -> int:
        """Return the descriptor of a file that has room: another one, if need be."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:  # somebody has removed it
            return self._open()
        if self._descriptor is None or self._file != (status.st_dev, status.st_ino):
            descriptor, used = self._open(), status.st_size
        else:
            descriptor, used = self._descriptor, status.st_size
        if used and used + size > self._max_bytes:
            self._rotate(descriptor)
            return self._open()
        return descriptor

    def _open(self) -> int:
        self.close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o600)
        except FileNotFoundError:  # its directory as well
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, flags, 0o600)
        status = os.fstat(descriptor)
        self._descriptor, self._file = descriptor, (status.st_dev, status.st_ino)
        self._is_torn = False
        return descriptor

    def _rotate(self, descriptor: int) -> None:
        """Give every file the next number, unless another process is at it or has just done so.

        The lock is the full file's; it ends when that is closed.
        """
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.stat(self._path)
            if (status.st_dev, status.st_ino) == self._file:
                for number in range(self._files - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        numbered(self._path, number - 1).replace(numbered(self._path, number))
                if self._files == 1:
                    self._path.unlink()

    def _append(self, descriptor: int, line: bytes) -> None:
        if self._is_torn:
            line = b"\n" + line
        while line:
            line = line[os.write(descriptor, line) :]
            self._is_torn = bool(line)


def numbered(path: Path, number: int) -> Path:
    """Return the path of a log's file: 0 is the present one, and the higher, the older."""
    return path.with_name(f"{path.name}.{number}") if number else path
