"""Read the daemon's log: its last lines over all its files, and what is written from now on.

The present file is opened first, and older ones in order: a file that is given another number
meanwhile is met again, and known by its inode. Who follows keeps the file open that he reads;
when it has been given a number, the next newer one comes after its last line.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from proxy.log_file import numbered

POLL_SECONDS = 0.25
CHUNK_BYTES = 256 * 1024


class LogReader:
    """The log at ``path``, of which there need be nothing yet. A context that closes it.

    ``wait`` is what is done while there is nothing new.
    """

    def __init__(self, path: Path, wait: Callable[[], None] | None = None) -> None:
        self._path = path
        self._wait = wait or partial(time.sleep, POLL_SECONDS)
        self._file: BinaryIO | None = None
        self._rest = b""

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def unfinished(self) -> bytes:
        """The line at the end that its writer has not ended yet."""
        return self._rest

    def last(self, count: int, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Return the last wanted lines, at most ``count``, without their ends."""
        found: list[bytes] = []
        for _, file in _newest_first(self._path):
            *lines, rest = file.read().split(b"\n")
            if self._file is None:
                self._file, self._rest = file, rest
            else:
                file.close()
                lines.append(rest)
            lines = [line for line in lines if line and wanted(line)]
            found = lines[max(0, len(lines) - count + len(found)) :] + found
            if len(found) >= count:
                break
        return found

    def follow(self) -> Iterator[bytes]:
        """Yield each line that is written after those that were read, for ever."""
        while True:
            newer = self._newer()
            yield from self._read_on()
            self._wait()
            if newer is None:
                continue
            yield from self._read_on()  # another process may have been about to write into it
            if self._rest:  # its writer was ended in the middle of a line
                yield self._rest
            if self._file is not None:
                self._file.close()
            self._file, self._rest = newer, b""

    def _read_on(self) -> Iterator[bytes]:
        """Yield the complete lines that the file has by now."""
        if self._file is None:
            return
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # somebody emptied it
            self._file.seek(0)
            self._rest = b""
        while chunk := self._file.read(CHUNK_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from filter(None, lines)

    def _newer(self) -> BinaryIO | None:
        """Open the file that follows the present one, if there is one by now.

        Where the present one has been removed, that is the newest.
        """
        while True:
            number = self._number()
            if number == 0:
                return None
            candidate = _open(numbered(self._path, (number or 1) - 1))
            if candidate is None or self._number() == number:
                return candidate
            candidate.close()  # they were given numbers just now

    def _number(self) -> int | None:
        """Return which number the present file has. None: it is not among them."""
        if self._file is None:
            return None
        own = _identity(self._file)
        for number, file in _newest_first(self._path):
            with file:
                if _identity(file) == own:
                    return number
        return None


def _newest_first(path: Path) -> Iterator[tuple[int, BinaryIO]]:
    """Open the files of a log, each once, and give them away with their numbers."""
    seen: set[tuple[int, int]] = set()
    number = missing = 0
    while missing < 2:  # one is, while they are given their numbers
        file = _open(numbered(path, number))
        if file is None:
            missing += 1
        elif _identity(file) in seen:
            file.close()
        else:
            missing = 0
            seen.add(_identity(file))
            yield number, file
        number += 1


def _open(path: Path) -> BinaryIO | None:
    with contextlib.suppress(FileNotFoundError):
        return path.open("rb", buffering=0)
    return None


def _identity(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino
