"""What is in a record's directory, and how much of it is whole. Nothing is changed here.

Theory. An epoch is a snapshot of its document, and a log of the changes since. Snapshot and root
are there as a whole or not at all (disk.py); a log ends in half a change where a process was killed
while it wrote. All else that is wrong is damage.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from proxy.errors import StoreError
from proxy.record import disk
from proxy.record.chunks import CHANGE, COMPRESSED_CHANGE, Chunk, is_torn, whole_chunks
from proxy.record.document import Document

ROOT = "root.automerge"

_EPOCH = re.compile(r"epoch-(\d{6,})\.(?:automerge|log)(\.damaged-.*)?")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was on the disk."""

    root: Document | None = None
    epoch: int = 0
    """The number of the document's epoch: that of the root, unless that one's files are damaged."""
    document: Document | None = None
    damaged: tuple[Path, ...] = ()
    """What was set aside, and where it is now: a person is to be told."""


class Epoch(NamedTuple):
    """An epoch that can be used."""

    document: Document
    log: bytes
    length: int
    """How much of the log is whole, and in the document."""
    damage: str
    """What is wrong with the rest, if it is not just half a change."""


def snapshot_path(directory: Path, number: int) -> Path:
    return directory / f"epoch-{number:06d}.automerge"


def log_path(directory: Path, number: int) -> Path:
    return directory / f"epoch-{number:06d}.log"


def epoch_numbers(directory: Path, *, damaged: bool = False) -> set[int]:
    """Return which epochs there are; on request, those too of which only damaged files are left."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return set()
    found = (_EPOCH.fullmatch(name) for name in names)
    return {int(match[1]) for match in found if match and (damaged or not match[2])}


def in_order(numbers: set[int], named: int) -> list[int]:
    """Return the epochs to be tried: the one that the root names, then from the latest on."""
    return sorted(numbers, key=lambda number: (number == named, number), reverse=True)


def read(directory: Path) -> Loaded:
    """Read a record, which another process may be writing. What is damaged is passed over.

    Raises :class:`StoreError` where the files cannot be read.
    """
    with disk.storing(f"read the record in {directory}"):
        while True:
            root = read_root(directory)
            named = number_of(root)
            loaded = Loaded(root)
            for number in in_order(epoch_numbers(directory), named):
                epoch = read_epoch(directory, number)
                if isinstance(epoch, Epoch):
                    loaded = Loaded(root, number, epoch.document)
                    break
            if number_of(read_root(directory)) == named:  # else its files may have gone meanwhile
                return loaded


def read_root(directory: Path) -> Document | None:
    """Read the root, or return None where there is none that is whole."""
    data = _read(directory / ROOT)
    return _document(data) if data and _is_whole(data) else None


def number_of(root: Document | None) -> int:
    """Return the number of the epoch that a root names; 0 where it names none."""
    try:
        number = root.read().get("epoch") if root is not None else 0
    except StoreError:
        return 0
    return number if isinstance(number, int) else 0


def read_epoch(directory: Path, number: int) -> Epoch | str:
    """Read an epoch as far as it can be used, or say why it cannot."""
    snapshot = _read(snapshot_path(directory, number))
    if snapshot is None:
        return "its snapshot is missing"
    if not _is_whole(snapshot):
        return "the snapshot is not whole"
    log_file = log_path(directory, number)
    log = _read(log_file) or b""
    chunks = list(whole_chunks(log))
    taken, document = _most(snapshot, log, chunks)
    if document is None:
        return "Automerge refuses the snapshot"
    length = chunks[taken - 1].end if taken else 0
    damage = ""
    if not log and _size(log_file):
        damage = "the log cannot be read"
    elif taken < len(chunks):
        damage = f"Automerge refuses the change at {length}"
    elif length < len(log) and not is_torn(log[length:]):
        damage = f"there is no whole change at {length}"
    return Epoch(document, log, length, damage)


def _most(snapshot: bytes, log: bytes, chunks: Sequence[Chunk]) -> tuple[int, Document | None]:
    """Return as many of the chunks as Automerge takes, and the document with them."""
    document = _with(snapshot, log, chunks)
    if document is not None or not chunks:
        return len(chunks), document
    taken, refused = 0, len(chunks)
    document = _with(snapshot, log, [])
    while document is not None and refused - taken > 1:
        middle = (taken + refused) // 2
        longer = _with(snapshot, log, chunks[:middle])
        if longer is None:
            refused = middle
        else:
            taken, document = middle, longer
    return taken, document


def _with(snapshot: bytes, log: bytes, chunks: Sequence[Chunk]) -> Document | None:
    """Return the document with these changes, or None where one of them does not get in.

    Automerge leaves out what comes after a change that is missing, and does not say so.
    """
    if not chunks:
        return _document(snapshot)
    last = chunks[-1]
    document = _document(snapshot + log[: last.end])
    if document is None or last.kind not in (CHANGE, COMPRESSED_CHANGE):
        return document
    return document if any(h.startswith(last.checksum) for h in document.heads) else None


def _document(data: bytes) -> Document | None:
    try:
        return Document.load(data)
    except StoreError:
        return None


def _is_whole(data: bytes) -> bool:
    """Whether this is what was written: some chunks, all of them whole."""
    end = 0
    for chunk in whole_chunks(data):
        end = chunk.end
    return 0 < end == len(data)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""  # the medium is damaged, and so is the file


def _size(path: Path) -> int:
    """Return a file's size; 0 where there is none any more, as when its epoch is over."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
