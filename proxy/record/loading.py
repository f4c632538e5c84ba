"""A whole record from the disk, to be read: by a command, while a session may be writing it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from proxy.errors import ConfigError, StoreError
from proxy.record import epochs
from proxy.record.archive import Page
from proxy.record.blobs import Blobs
from proxy.record.files import BLOBS
from proxy.record.reading import read_page, read_record
from proxy.record.state import Comm, Execution, SessionRecord
from proxy.record.values import Large

_LOST = {"utf-8": b"[kmux: lost]", "json": b"null"}
"""What stands for a value that is lost; for a binary one, nothing."""


@dataclass(frozen=True, slots=True)
class WholeRecord:
    """A record with its archive."""

    record: SessionRecord
    blobs: Blobs
    epoch: int
    pages: list[Page]
    """What is in the archive."""
    lost: set[str] = field(default_factory=set)
    """The names of the blobs that were asked for and cannot be read."""
    is_behind: bool = False
    """Whether the session knows more, and cannot write it down."""

    def fetch(self, large: Large) -> bytes:
        """Return a large value's bytes, or what stands for it where it is lost."""
        try:
            return self.blobs.get(large.sha256)
        except StoreError:
            self.lost.add(large.sha256)
            return _LOST.get(large.encoding, b"")


def load(directory: Path, known: Collection[str] | None = None) -> WholeRecord:
    """Read a record, with all that is in its archive.

    Who follows it has most of it, and says which pages: those are left out, and so are the states
    of widgets. Raises :class:`ConfigError` where there is no record, and :class:`StoreError` where
    it cannot be read.
    """
    if not directory.is_dir():
        raise ConfigError(f"there is no record of {directory.name!r}; kmux ps lists what runs")
    loaded = epochs.read(directory)
    if loaded.document is None:
        raise ConfigError(f"nothing is recorded of {directory.name!r} yet")
    blobs = Blobs(directory / BLOBS)
    lost: set[str] = set()

    def fetch(sha256: str) -> bytes:
        if known is not None:
            return b""
        try:
            return blobs.get(sha256)
        except StoreError:  # what is left is worth having
            lost.add(sha256)
            return b""

    record, pages = read_record(loaded.document.read(), fetch)
    executions: list[Execution] = []
    comms: list[Comm] = []
    for page in pages:
        if page.large.sha256 in (known or ()):
            continue
        try:
            cells, closed = read_page(blobs.get(page.large.sha256), fetch)
        except StoreError:
            record.let_go.executions += page.executions
            record.let_go.outputs += page.outputs
            record.let_go.bytes += page.bytes
            continue
        executions += cells
        comms += closed
    record.executions = dict(enumerate([*executions, *record.executions.values()], 1))
    record.comms = {comm.comm_id: comm for comm in [*comms, *record.comms.values()]}
    return WholeRecord(record, blobs, loaded.epoch, pages, lost)
