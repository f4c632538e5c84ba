"""A whole record from the disk, to be read: by a command, while a session may be writing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from proxy.errors import ConfigError, StoreError
from proxy.record import epochs
from proxy.record.blobs import Blobs
from proxy.record.files import BLOBS
from proxy.record.reading import read_page, read_record
from proxy.record.state import Comm, Execution, SessionRecord
from proxy.record.values import Large


@dataclass(frozen=True, slots=True)
class WholeRecord:
    """A record with its archive."""

    record: SessionRecord
    blobs: Blobs

    def fetch(self, large: Large) -> bytes:
        """Return a large value's bytes. Raises :class:`StoreError` where they are lost."""
        return self.blobs.get(large.sha256)


def load(directory: Path) -> WholeRecord:
    """Read a record, with all that is in its archive.

    Raises :class:`ConfigError` where there is none, and :class:`StoreError` where it cannot be
    read.
    """
    if not directory.is_dir():
        raise ConfigError(f"there is no record of {directory.name!r}; kmux ps lists what runs")
    loaded = epochs.read(directory)
    if loaded.document is None:
        raise ConfigError(f"nothing is recorded of {directory.name!r} yet")
    blobs = Blobs(directory / BLOBS)
    record, pages = read_record(loaded.document.read(), blobs.get)
    executions: list[Execution] = []
    comms: list[Comm] = []
    for page in pages:
        try:
            cells, closed = read_page(blobs.get(page.large.sha256), blobs.get)
        except StoreError:  # what is left is worth having
            record.let_go.executions += page.executions
            record.let_go.outputs += page.outputs
            record.let_go.bytes += page.bytes
            continue
        executions += cells
        comms += closed
    record.executions = dict(enumerate([*executions, *record.executions.values()], 1))
    record.comms = {comm.comm_id: comm for comm in [*comms, *record.comms.values()]}
    return WholeRecord(record, blobs)
