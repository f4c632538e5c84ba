"""A session's record when the session begins: a new one, or the one that it had.

A kernel that kmux finds running may be the one of which the record tells; then it goes on. In all
other cases a session's record begins anew, and the one before is kept as ``NAME~1``.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

import trio

from proxy.errors import ClientProtocolError, StoreError
from proxy.logs import log
from proxy.record.addresses import DocumentId, document_id_in
from proxy.record.archive import RetentionPolicy
from proxy.record.document import Document
from proxy.record.files import RecordFiles
from proxy.record.pace import Pace
from proxy.record.reading import read_record
from proxy.record.recorder import Recorder
from proxy.record.state import Comm, SessionRecord
from proxy.record.values import Json, Large
from proxy.session.events import Restored, RestoredComm
from proxy.settings import data_dir

RECORDS = "records"
BEFORE = "~1"
"""Behind a session's name: its record before the present one."""


def record_directory(name: str) -> Path:
    """Return where the record of a session is."""
    return data_dir() / RECORDS / name


def open_record(
    name: str,
    kernel_name: str,
    *,
    resumes: bool,
    gapless: bool = False,
    policy: RetentionPolicy | None = None,
    pace: Pace | None = None,
) -> Recorder:
    """Open the record of a session that begins. ``resumes`` is whether it may go on, ``gapless``
    whether the kernel was listened to all the time.

    Raises :class:`ConfigError` where another process writes it, and :class:`StoreError` where it
    cannot be written.
    """
    directory = record_directory(name)
    files = RecordFiles(directory)
    if not resumes:
        if any(directory.glob("*.automerge")):
            files.close()
            _keep_aside(directory, directory.with_name(f"{name}{BEFORE}"))
            files = RecordFiles(directory)
        files.load()
        return _new(name, kernel_name, files, policy, pace)
    logs = [path.stat().st_mtime for path in directory.glob("*.log")]
    loaded = files.load()
    if loaded.document is None:
        return _new(name, kernel_name, files, policy, pace)
    try:
        record, pages = read_record(loaded.document.read(), files.blobs.get)
    except StoreError as error:
        files.close()
        kept = directory.with_name(f"{name}.unread-{int(time.time())}")
        _keep_aside(directory, kept)
        log().warning("record.not_resumed", why=str(error), kept=str(kept))
        files = RecordFiles(directory)
        files.load()
        return _new(name, kernel_name, files, policy, pace)
    record.left = None if gapless else max(logs, default=None)
    return Recorder(record, files, root=_root(loaded.root), pages=pages, policy=policy, pace=pace)


def _new(
    name: str,
    kernel_name: str,
    files: RecordFiles,
    policy: RetentionPolicy | None,
    pace: Pace | None,
) -> Recorder:
    record = SessionRecord(name, kernel_name, started=time.time())
    return Recorder(record, files, policy=policy, pace=pace)


async def rename(recorder: Recorder, name: str) -> None:
    """Call a session's record otherwise. One of that name that is over is kept as ``NAME~1``.

    Raises :class:`StoreError`.
    """
    directory = record_directory(name)
    if await trio.to_thread.run_sync(directory.exists):
        kept = directory.with_name(f"{name}{BEFORE}")
        await trio.to_thread.run_sync(_keep_aside, directory, kept)
    await recorder.move(name, directory)


def _root(document: Document | None) -> tuple[DocumentId, Document] | None:
    if document is None:
        return None
    with contextlib.suppress(StoreError, ClientProtocolError):
        url = document.read().get("url")
        return (document_id_in(url), document) if isinstance(url, str) else None
    return None


def _keep_aside(directory: Path, kept: Path) -> None:
    try:
        shutil.rmtree(kept, ignore_errors=True)
        directory.rename(kept)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"cannot move {directory} aside: {why}; see KMUX_DATA_DIR") from None


def restored(recorder: Recorder, at: float) -> Restored | None:
    """Return what a session that resumes is to know; None where there is nothing."""
    record = recorder.record
    comms = [comm for comm in record.comms.values() if comm.closed is None]
    if not record.kernel.session:
        return None
    known = tuple(_restored_comm(comm, recorder) for comm in comms)
    return Restored(at=at, kernel_session=record.kernel.session, comms=known)


def _restored_comm(comm: Comm, recorder: Recorder) -> RestoredComm:
    return RestoredComm(
        comm_id=comm.comm_id,
        target_name=comm.target_name,
        content=_bytes(comm.content, recorder),
        metadata=_bytes(comm.metadata, recorder),
        buffers=tuple(recorder.fetch(large) for large in comm.buffers),
        fields=dict(comm.fields) if comm.fields is not None else None,
        opener=comm.opener,
    )


def _bytes(value: Json | Large, recorder: Recorder) -> bytes:
    return recorder.fetch(value) if isinstance(value, Large) else value.text.encode()
