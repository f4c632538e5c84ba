"""Files that are there as a whole, or as they were before.

A file is written under another name, brought to the disk (fsync) and given its name: who is killed
meanwhile, or finds the disk full, leaves what was there. That the name itself is on the disk, after
a power failure too, takes :func:`sync_directory`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from proxy.errors import DiskFull, StoreError
from proxy.logs import log
from proxy.message import Part

TEMPORARY = ".tmp-"
"""How the names of files begin that are not whole yet."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def storing(doing: str) -> Iterator[None]:
    """Make a :class:`StoreError` of what the system says against it."""
    try:
        yield
    except OSError as error:
        why = f"cannot {doing}: {error.strerror or error}"
        if error.errno in _FULL:
            raise DiskFull(f"{why}; free some space there") from error
        raise StoreError(f"{why}; see KMUX_DATA_DIR") from error


def make_directory(path: Path) -> list[Path]:
    """Make a directory that nobody else can look into, and those above it.

    Returns those in which there is a new name, outermost first: it is on the disk after
    :func:`sync_directory`.
    """
    if path.is_dir():
        return []
    changed = make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    return [*changed, path.parent]


def open_file(path: Path, flags: int) -> int:
    """Open a file, and make it readable for nobody else where it is made."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def write_all(descriptor: int, part: Part) -> None:
    """Write all of it; without the GIL, however much that is."""
    rest = memoryview(part).cast("B")
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_aside(path: Path, parts: Sequence[Part], *, synced: bool = True) -> Path:
    """Write what is to be at ``path``, with another name. It is on the disk when this returns, if
    it is to be ``synced``."""
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
    try:
        descriptor = open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            for part in parts:
                write_all(descriptor, part)
            if synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        unlink(temporary)
        raise
    return temporary


def replace(path: Path, parts: Sequence[Part], *, synced: bool = True) -> None:
    """Write a file anew. Its name is on the disk after :func:`sync_directory`.

    One that is not ``synced`` may be empty after a power failure.
    """
    temporary = write_aside(path, parts, synced=synced)
    try:
        temporary.replace(path)
    except BaseException:
        unlink(temporary)
        raise


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a filesystem that has no such thing
            raise
    finally:
        os.close(descriptor)


def unlink(path: Path) -> None:
    """Remove a file that nobody needs, if that is possible."""
    with contextlib.suppress(OSError):
        path.unlink()


def remove_leftovers(directory: Path) -> None:
    """Remove what a process that was killed had not finished."""
    for path in directory.glob(f"{TEMPORARY}*"):
        unlink(path)


def set_aside(path: Path, reason: str, *, to: Path | None = None) -> Path:
    """Give a damaged file a name that says so, in ``to`` or where it is, and log it."""
    kept = _free_name(path, to)
    path.rename(kept)
    _tell(kept, reason)
    return kept


def keep_copy(path: Path, data: bytes, reason: str) -> Path:
    """Write down what a damaged file was, before it is repaired, and log it."""
    kept = _free_name(path)
    replace(kept, [data])
    _tell(kept, reason)
    return kept


def _free_name(path: Path, to: Path | None = None) -> Path:
    now = datetime.now(UTC)
    name = f"{path.name}.damaged-{now:%Y%m%d-%H%M%S}"
    wish = kept = (to or path.parent) / name
    number = 1
    while os.path.lexists(kept):
        number += 1
        kept = wish.with_name(f"{name}-{number}")
    return kept


def _tell(kept: Path, reason: str) -> None:
    log().warning("record.damaged", reason=reason, kept=str(kept))
