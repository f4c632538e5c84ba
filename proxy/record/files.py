"""A session's record on the disk: its documents and its blobs.

    lock                     held by the process that writes the record; its pid is in it
    root.automerge           which epoch is the present one
    epoch-000001.automerge   a snapshot of that epoch's document, as it was when it began
    epoch-000001.log         the changes since, appended
    blobs/                   see blobs.py

Theory. A change is in the log as soon as :meth:`RecordFiles.append` has returned: a process that is
killed loses what it had not appended. A power failure loses what came after the last
:meth:`RecordFiles.sync`. An epoch is the present one once the root that names it has taken the
place of the root before, and only then are the old epoch's files removed; one that no root names
was never finished.

What is damaged is set aside under a name that says so, and the session goes on with what is left:
the changes ahead of the damage; else another epoch, if there is one; else nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.errors import InternalError
from proxy.record import disk
from proxy.record.blobs import LIMIT_BYTES, BlobStore, Freed
from proxy.record.document import Document
from proxy.record.epochs import (
    ROOT,
    Epoch,
    Loaded,
    epoch_numbers,
    in_order,
    log_path,
    number_of,
    read_epoch,
    read_root,
    snapshot_path,
)
from proxy.record.lock import take_lock

BLOBS = "blobs"


class RecordFiles:
    """A record that this process writes: plain synchronous calls, one at a time, in any thread.

    They raise :class:`StoreError` where the disk is full or refuses. What was there stays usable
    then, and the call can be made again.
    """

    def __init__(self, directory: Path, *, blob_limit_bytes: int = LIMIT_BYTES) -> None:
        """Take over a directory, or make it, and remove what a crash left behind.

        It waits for no disk: the event loop may call it. Raises :class:`ConfigError` where another
        process writes this record.
        """
        self.directory = directory
        self.epoch = 0
        """The epoch that changes are appended to; 0 is none."""
        self.next_epoch = 1
        """A number that no epoch had before, once the record is loaded."""
        self.log_bytes = 0
        self._is_loaded = False
        self._log: int | None = None
        self._log_is_synced = True
        self._log_has_rubbish = False
        """Whether half a change is at its end, of an append that failed."""
        with disk.storing(f"use the record in {directory}"):
            self._unsynced = disk.make_directory(directory)
            self._lock: int | None = take_lock(directory)
        try:
            disk.remove_leftovers(directory)
            self.blobs = BlobStore(directory / BLOBS, limit_bytes=blob_limit_bytes)
        except BaseException:
            self.close()
            raise

    def load(self) -> Loaded:
        """Read what is there, repair it, and go on with its epoch. To be called before the rest."""
        with disk.storing(f"read the record in {self.directory}"):
            root, damaged = self._load_root()
            named = number_of(root)
            known = epoch_numbers(self.directory, damaged=True)
            self.next_epoch = max(known | {named, self.epoch}) + 1
            self._is_loaded = True
            for number in in_order(epoch_numbers(self.directory), named):
                epoch = read_epoch(self.directory, number)
                if isinstance(epoch, str):
                    damaged += self._set_aside(number, epoch)
                    continue
                damaged += self._repair(number, epoch)
                self._go_on(number, self._open_log(number), epoch.length)
                if number == named:
                    disk.sync_directory(self.directory)
                    self._remove_other_epochs()
                return Loaded(root, number, epoch.document, tuple(damaged))
            return Loaded(root, damaged=tuple(damaged))

    def _load_root(self) -> tuple[Document | None, list[Path]]:
        root, path = read_root(self.directory), self.directory / ROOT
        if root is not None or not path.exists():
            return root, []
        return None, [disk.set_aside(path, "the root is not whole")]

    def _set_aside(self, number: int, reason: str) -> list[Path]:
        paths = (snapshot_path(self.directory, number), log_path(self.directory, number))
        return [disk.set_aside(path, reason) for path in paths if path.exists()]

    def _repair(self, number: int, epoch: Epoch) -> list[Path]:
        """Cut off what is not whole; where that is more than half a change, keep a copy."""
        path = log_path(self.directory, number)
        kept: list[Path] = []
        if epoch.damage:
            kept.append(
                disk.keep_copy(path, epoch.log, epoch.damage)
                if epoch.log
                else disk.set_aside(path, epoch.damage)
            )
            disk.sync_directory(self.directory)
        if epoch.length < len(epoch.log):
            os.truncate(path, epoch.length)
        return kept

    def begin_epoch(self, number: int, snapshot: bytes, root: bytes) -> None:
        """Go on with another document, of which ``snapshot`` is the whole; ``root`` names it.

        When this returns both are on the disk, and so is all that was put, and the epoch before is
        gone. Where it raises, :attr:`epoch` says which one goes on: as a rule the one before.
        """
        if not self._is_loaded or number <= self.epoch:
            raise InternalError(f"epoch {number} cannot follow epoch {self.epoch}")
        self.blobs.sync()
        with disk.storing(f"write the record in {self.directory}"):
            while self._unsynced:
                disk.sync_directory(self._unsynced[-1])
                self._unsynced.pop()
            log = self._write_epoch(number, snapshot, root)
            self._go_on(number, log, 0)
            disk.sync_directory(self.directory)
            self._remove_other_epochs()

    def _write_epoch(self, number: int, snapshot: bytes, root: bytes) -> int:
        """Write its files, and the root when they are on the disk; or nothing. Returns the log."""
        paths = (snapshot_path(self.directory, number), log_path(self.directory, number))
        log: int | None = None
        try:
            for path in paths:
                path.unlink(missing_ok=True)  # of one that was not finished
            disk.replace(paths[0], [snapshot])
            log = self._open_log(number)
            disk.sync_directory(self.directory)
            disk.replace(self.directory / ROOT, [root])
        except BaseException:
            if log is not None:
                os.close(log)
            for path in paths:
                disk.unlink(path)
            raise
        return log

    def _open_log(self, number: int) -> int:
        path = log_path(self.directory, number)
        return disk.open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def _go_on(self, number: int, log: int, length: int) -> None:
        if self._log is not None:
            os.close(self._log)
        self.epoch, self._log, self.log_bytes = number, log, length
        self.next_epoch = max(self.next_epoch, number + 1)
        self._log_is_synced = length == 0
        self._log_has_rubbish = False

    def _remove_other_epochs(self) -> None:
        for number in epoch_numbers(self.directory) - {self.epoch}:
            disk.unlink(snapshot_path(self.directory, number))
            disk.unlink(log_path(self.directory, number))

    def replace_root(self, root: bytes) -> None:
        """Write the root anew. It is on the disk when this returns."""
        with disk.storing(f"write the record in {self.directory}"):
            disk.replace(self.directory / ROOT, [root])
            disk.sync_directory(self.directory)

    def append(self, changes: bytes) -> None:
        """Append changes to the present epoch. From then on only a power failure loses them.

        Where it raises :class:`StoreError`, none of it is there. What comes after it is worth
        nothing without it: append it again, ahead of that.
        """
        if self._log is None:
            raise InternalError("no epoch was loaded or begun")
        with disk.storing(f"write the record in {self.directory}"):
            if self._log_has_rubbish:
                self._cut_off_rubbish(self._log)
            self._log_is_synced = False
            try:
                disk.write_all(self._log, changes)
            except BaseException:
                self._log_has_rubbish = True
                with contextlib.suppress(OSError):
                    self._cut_off_rubbish(self._log)
                raise
            self.log_bytes += len(changes)

    def _cut_off_rubbish(self, log: int) -> None:
        os.ftruncate(log, self.log_bytes)
        self._log_has_rubbish = False

    def sync(self) -> None:
        """Bring what was put and appended to the disk: blobs first, then what names them.

        Where it raises :class:`StoreError`, the system may have forgotten what it could not write
        (fsync(2), "EIO"): begin another epoch.
        """
        self.blobs.sync()
        if self._log is None or self._log_is_synced:
            return
        with disk.storing(f"write the record in {self.directory}"):
            os.fdatasync(self._log)
        self._log_is_synced = True

    def collect(self, live: Collection[str]) -> Freed:
        """Remove blobs, other than those named here, that were not put a short while ago."""
        self.sync()
        return self.blobs.collect(live)

    def move(self, to: Path) -> None:
        """Go on in another directory, which must not be there. Raises :class:`StoreError`."""
        with disk.storing(f"move the record to {to}"):
            self.directory.rename(to)
            self.directory = to
            self.blobs.directory = to / BLOBS
            disk.sync_directory(to.parent)

    def close(self) -> None:
        """Bring everything to the disk, and let others write the record."""
        try:
            if self._log is not None:
                self.sync()
        finally:
            for descriptor in (self._log, self._lock):
                if descriptor is not None:
                    os.close(descriptor)
            self._log = self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
