"""Writes a session's record behind it: facts into state, state into the document, that onto disk.

One task does all of it, one step after the other, at most once in ``INTERVAL_SECONDS`` and less
often where a step takes long: it may lag, and never stands in a message's way. What comes in
meanwhile is folded when it is done: the last value of each key, text behind text.

    facts -> state -> blobs (worker thread) -> document (slices of 1 ms) -> log (worker thread)
                                                                                 |
                                                                                 +-> peers (sync)

History never shrinks in Automerge, so the document is replaced by one that is made anew from the
state: when another kernel begins, and past the limits below. A small root document that stays
names the present one.

Where the disk takes nothing the session goes on: the document lives in memory and says since when
it is not durable, what should be a blob is kept for a while, and all of it is tried again. So it
does where something here is wrong: a fact is lost, or a document is made anew.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

from proxy.errors import StoreError
from proxy.logs import log
from proxy.record import outputs as shown
from proxy.record.addresses import DocumentId, new_document_id, url_of
from proxy.record.archive import Archive, Draft, Page, RetentionPolicy, draft
from proxy.record.document import ROOT, Document, DocumentBroken
from proxy.record.files import RecordFiles
from proxy.record.folding import Folding
from proxy.record.pace import Pace
from proxy.record.projection import Projection, forget
from proxy.record.state import Comm, SessionRecord, Stream
from proxy.record.storing import Storing
from proxy.record.trees import ROOT_SCHEMA
from proxy.record.values import Large
from proxy.session.facts import CommClosed, Fact, KernelBegan, KernelEnded, KernelTold, Present

INTERVAL_SECONDS = 0.05
MAX_INTERVAL_SECONDS = 1.0
SHARE = 0.1
"""How much of the time the record may take, before its interval becomes longer."""
FOLDING_SECONDS = 0.001
"""Facts that are folded at once: a few, or as many lines as are printed in that time."""
MAX_FACTS = 20_000
"""That wait to be folded: past it, the record takes no account of others. They are some 30 MB."""
SLICES_AT_ONCE = 80
"""Of a flood, before they go to the disk: some 0.1 s. To put so many together takes 3 ms."""
SYNC_SECONDS = 1.0
"""How often the log is flushed to the disk itself: a crash of the machine loses as much."""
RETRY_SECONDS = 5.0
MAX_CHANGES = 5_000
MAX_OPERATIONS = 20_000
MAX_BYTES = 4 * 1024 * 1024
"""A document that has more is replaced: loading it takes 20 ms, an acknowledgement 0.2 ms."""
MAX_OUTPUTS = 20_000
"""Of one cell; its first ones go first. They are as much work as a million printed lines."""
MERGED_BYTES = 1024 * 1024
"""Pieces of a stream are merged into blobs of this size."""


class Audience(Protocol):
    """Who follows the documents."""

    def add(self, document_id: DocumentId, document: Document) -> None:
        """This document can be followed."""

    def changed(self, document_id: DocumentId) -> None:
        """This document was written to."""

    def retire(self, document_id: DocumentId) -> None:
        """Another one has taken this one's place."""


class Recorder:
    """The record of one session. :meth:`run` is its life."""

    def __init__(
        self,
        record: SessionRecord,
        files: RecordFiles,
        *,
        root: tuple[DocumentId, Document] | None = None,
        pages: Sequence[Page] = (),
        policy: RetentionPolicy | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._worked = 0.0
        """Seconds that the present flush has taken from others."""
        self._waited_for = 0
        """How many wait for all to be written down."""
        self.record = record
        self.root_id, self._root = root or (new_document_id(), Document())
        """Its history goes on as long as its id: who has the old one would mix them up."""
        self.document_id: DocumentId | None = None
        self.present: Callable[[], Present] | None = None
        """Says what the session is now."""
        self.settled: Callable[[], None] = lambda: None
        """Called when it knows more than before, and large values have their names."""
        self.blobs = files.blobs
        self._files = files
        self.audience: Audience | None = None
        """Who is told of documents and changes."""
        _forget_states(record.comms.values())
        self._folding = Folding(record)
        self._facts: deque[Fact] = deque()
        self._archive = Archive(pages, policy or RetentionPolicy())
        self._projection: Projection | None = None
        self._saved: list[bytes] = []
        """The heads of the document as far as the disk has it."""
        self._must_begin = True
        """Whether a new document is due."""
        self._broken_at: float | None = None
        """When the disk refused the last time."""
        self._failed_at: float | None = None
        """When the document could not be written the last time, by a bug of ours."""
        self._values = Storing(files.blobs, self._refused)
        self._synced_at = 0.0
        self._is_unsynced = False
        self._awake = trio.Event()
        self._one_at_a_time = trio.Lock()
        self._thread = trio.CapacityLimiter(1)

    @property
    def directory(self) -> Path:
        """Where it is on the disk."""
        return self._files.directory

    @property
    def url(self) -> str:
        """Where peers find it."""
        return url_of(self.root_id)

    def fetch(self, large: Large) -> bytes:
        """Return a large value's bytes. Raises :class:`StoreError` where they are lost."""
        return self._values.fetch(large)

    def tail(self, large: Large, count: int) -> bytes:
        """Return a large value's last bytes. Raises :class:`StoreError` where they are lost."""
        return self._values.tail(large, count)

    async def move(self, name: str, directory: Path) -> None:
        """Have another name, and be in another directory. Raises :class:`StoreError`."""
        async with self._one_at_a_time:
            await trio.to_thread.run_sync(self._files.move, directory, limiter=self._thread)
            self.record.name = name
            self._folding.changed_session = True
            self._must_begin = True  # the root has the name as well
        self.wake()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until some of the work may be done: in the block, without a checkpoint."""
        hurries = self._waited_for > 0 or len(self._facts) > MAX_FACTS
        async with self._pace.turn(hurries=hurries):
            begun = time.perf_counter()
            yield
            self._worked += time.perf_counter() - begun

    # What comes in

    def take(self, facts: list[Fact]) -> None:
        """Keep what happened. Nothing is done with it yet."""
        self._facts += facts
        self.wake()

    def wake(self) -> None:
        """Something changed: look at it soon."""
        if not self._awake.is_set():
            self._awake.set()

    # Life

    async def run(self) -> None:
        """Record until cancelled, and then once more."""
        try:
            while True:
                await self._awake.wait()
                self._awake = trio.Event()
                begun, self._worked = trio.current_time(), 0.0
                await self._flush()
                rested = trio.current_time() - begun - self._worked
                pause = max(INTERVAL_SECONDS, self._worked / SHARE - rested)
                await trio.sleep(min(pause, MAX_INTERVAL_SECONDS))
                if self._is_unsynced or self._broken_at is not None or self._failed_at is not None:
                    self.wake()
        finally:
            with trio.move_on_after(MAX_INTERVAL_SECONDS * 10, shield=True):
                await self.flush()
                await self._on_disk(self._files.sync)
            self._files.close()

    async def flush(self) -> None:
        """Write down all that is known by now; whoever calls this waits for it."""
        self._waited_for += 1
        try:
            await self._flush()
        finally:
            self._waited_for -= 1

    async def _flush(self) -> None:
        async with self._one_at_a_time:
            await self._fold()
            try:
                await self._store(self._folding.settle())
                self.settled()
                if self._failed_at is None or time.time() - self._failed_at >= RETRY_SECONDS:
                    await self._write_down()
                    self._failed_at = None
            except Exception:
                self._failed()
            await self._sync()

    async def _write_down(self) -> None:
        if self._must_begin or self._projection is None or self._is_full(self._projection):
            await self._begin_epoch()
            return
        try:
            if not await self._write(self._projection):
                await self._begin_epoch()
        except DocumentBroken as error:
            log().error("record.document_broken", why=str(error))
            await self._begin_epoch()

    def _failed(self) -> None:
        """The kernel and its frontends go on without a record; a new document is tried in a while.

        What was to be written may be half in the old one.
        """
        if self._failed_at is None:
            log().exception("internal.error", what="record")
        self._failed_at = time.time()
        self._must_begin = True
        self._is_not_durable()

    async def _fold(self) -> None:
        while self._facts:
            async with self._turn():
                self._fold_some(time.perf_counter() + FOLDING_SECONDS)
        if self.present is not None:
            self._folding.be(self.present())

    def _fold_some(self, until: float) -> None:
        while self._facts:
            fact = self._facts.popleft()
            try:
                self._folding.take(fact)
            except Exception:  # a bug of ours: this fact is lost
                log().exception("internal.error", what="record", fact=type(fact).__name__)
            self._forget_state_of_closed(fact)
            self._must_begin |= isinstance(fact, KernelBegan)
            if time.perf_counter() > until:
                return

    def _forget_state_of_closed(self, fact: Fact) -> None:
        if isinstance(fact, CommClosed):
            closed = self.record.comms.get(fact.comm_id)
            _forget_states([closed] if closed is not None else [])
        elif isinstance(fact, KernelBegan | KernelTold | KernelEnded):
            _forget_states(self.record.comms.values())

    # The document

    async def _write(self, projection: Projection) -> bool:
        """Write what changed. Returns False where the document is full before all is in it."""
        slices = 0
        while await self._write_some(projection):
            if self._is_full(projection):
                return False
            slices += 1
            if slices % SLICES_AT_ONCE == 0:
                await self._publish(projection.document)
        await self._publish(projection.document)
        return True

    async def _write_some(self, projection: Projection) -> bool:
        async with self._turn():
            return projection.write(self._folding)

    async def _publish(self, document: Document) -> None:
        """Append what was written, and then tell who follows: they keep it."""
        await self._append(document)
        if self.audience is not None and self.document_id is not None:
            self.audience.changed(self.document_id)

    @staticmethod
    def _is_full(projection: Projection) -> bool:
        """Whether another document would have much less. One that is large by itself grows by as
        much before: else a cell with many outputs would be written anew all the time."""
        document = projection.document
        changes, operations, size = projection.made_of
        return (
            document.changes - changes > MAX_CHANGES
            or document.operations - operations > max(MAX_OPERATIONS, operations)
            or document.bytes_written - size > max(MAX_BYTES, size)
        )

    async def _begin_epoch(self) -> None:
        """Have another document take this one's place."""
        await self._archive_what_is_over()
        self._bound_outputs()
        await self._merge_streams()
        record, before = self.record, self.document_id
        self._folding.changed_executions = dict(record.executions)
        self._folding.changed_comms = dict(record.comms)
        self._folding.changed_session = True
        forget(record)
        await self._store(self._folding.settle())
        projection = Projection(record, self._archive.pages)
        while await self._write_some(projection):
            pass
        projection.is_made()
        self._projection = projection
        self._must_begin = True  # what ends kmux here leaves it to the last flush
        self.document_id = new_document_id()
        await self._save()
        self._must_begin = False
        if self.audience is not None:
            self.audience.add(self.document_id, projection.document)
            if before is None:
                self.audience.add(self.root_id, self._root)
            else:
                self.audience.changed(self.root_id)
                self.audience.retire(before)
        log().debug("record.epoch_began", epoch=self._files.epoch)
        await self._collect()

    def _write_root(self, epoch: int) -> None:
        assert self.document_id is not None
        wanted: dict[str, str | int] = {
            "schema": ROOT_SCHEMA,
            "name": self.record.name,
            "url": self.url,
            "epoch": epoch,
            "document": url_of(self.document_id),
        }
        try:
            with self._root.write() as writer:
                for key, value in wanted.items():
                    writer.put(ROOT, key, value)
        except DocumentBroken:
            if self.audience is not None:
                self.audience.retire(self.root_id)
            self.root_id, self._root = new_document_id(), Document()
            self._write_root(epoch)
            if self.audience is not None:
                self.audience.add(self.root_id, self._root)

    async def _archive_what_is_over(self) -> None:
        """Move what is long over into the archive, and let go of what is past its bound."""
        now = time.time()
        over = draft(self.record) if self._broken_at is None else None
        if over is not None:
            while await self._add_some(over):
                pass
            page = over.page(now)
            await self._store([page.large])
            if page.large.part is None:  # else the disk did not take it
                over.take_out(self.record)
                self._archive.add(page, over.blobs)
        gone, let_go = self._archive.let_go(now), self.record.let_go
        let_go.executions += gone.executions
        let_go.outputs += gone.outputs
        let_go.bytes += gone.bytes

    async def _add_some(self, over: Draft) -> bool:
        async with self._turn():
            return over.add_some()

    def _bound_outputs(self) -> None:
        for number, execution in self.record.executions.items():
            count = len(execution.outputs.items) - MAX_OUTPUTS
            if count > 0:
                self._folding.let_go_of_outputs(number, count)

    async def _merge_streams(self) -> None:
        """Make few large pieces of the many small ones of a long stream, and bound it."""
        for execution in self.record.executions.values():
            for output in execution.outputs.items:
                if isinstance(output, Stream) and len(output.chunks) > 1:
                    await self._merge(output)

    async def _merge(self, stream: Stream) -> None:
        def merged() -> list[str | Large]:
            return shown.merge(stream.chunks, self.blobs.get, MERGED_BYTES)

        if all(isinstance(c, Large) and c.size >= MERGED_BYTES for c in stream.chunks[:-1]):
            return
        try:
            stream.chunks = await trio.to_thread.run_sync(merged, limiter=self._thread)
        except StoreError as error:
            log().warning("record.not_merged", why=str(error))
        shown.bound(stream)

    # The disk

    async def _store(self, values: list[Large]) -> None:
        if values:
            await trio.to_thread.run_sync(self._values.store, values, limiter=self._thread)

    async def _append(self, document: Document) -> None:
        if self._broken_at is not None:
            if time.time() - self._broken_at >= RETRY_SECONDS:
                await self._save()
            return
        heads = document.heads
        if heads != self._saved:
            async with self._turn():
                chunk = document.changes_since(self._saved)
            if await self._on_disk(self._files.append, chunk):
                self._saved = heads
                self._is_unsynced = True

    async def _save(self) -> None:
        """Have the whole document on the disk, and what it needs."""
        assert self._projection is not None
        document, epoch = self._projection.document, self._files.next_epoch
        self._write_root(epoch)
        heads, snapshot, root = document.heads, document.save(), self._root.save()
        await self._store(list(self._values.homeless.values()))
        if await self._on_disk(self._files.begin_epoch, epoch, snapshot, root):
            self._saved = heads
            if not self._values.homeless:
                self._broken_at = None
                if self.record.not_durable_since is not None:
                    self.record.not_durable_since = None
                    self._folding.changed_session = True
                    self.wake()  # to be written, though nothing else may happen any more

    async def _sync(self) -> None:
        now = trio.current_time()
        if self._is_unsynced and now - self._synced_at >= SYNC_SECONDS:
            self._synced_at = now
            self._is_unsynced = False
            await self._on_disk(self._files.sync)

    async def _on_disk(self, action: Callable[..., None], *arguments: object) -> bool:
        """Do something with files, in the worker thread. Returns whether it succeeded."""
        try:
            await trio.to_thread.run_sync(action, *arguments, limiter=self._thread)
        except StoreError as error:
            self._refused(error)
            return False
        return True

    def _refused(self, error: StoreError) -> None:
        if self._broken_at is None:
            log().error("record.not_durable", why=str(error))
        self._broken_at = time.time()
        self._is_not_durable()

    def _is_not_durable(self) -> None:
        if self.record.not_durable_since is None:
            self.record.not_durable_since = time.time()
            self._folding.changed_session = True

    async def _collect(self) -> None:
        """Delete the blobs that nothing refers to any more."""
        if self._broken_at is not None:
            return
        live = {value.sha256 for value in self._all_values()}

        def collect() -> None:
            self._files.collect(live | self._archive.named(self.blobs.get))

        await self._on_disk(collect)

    def _all_values(self) -> list[Large]:
        record = self.record
        values: list[object] = [record.kernel.info]
        for execution in record.executions.values():
            values.append(execution.code)
            for output in execution.outputs.items:
                values += shown.larges(output)
        for comm in record.comms.values():
            values += (comm.content, comm.metadata, *comm.buffers)
            for value, buffers in comm.values.values():
                values += (value, *(large for _, large in buffers))
        return [value for value in values if isinstance(value, Large) and value.sha256]


def _forget_states(comms: Iterable[Comm]) -> None:
    """What a comm was in the end is in the document and the blob store: 200 closed ones with
    pictures in them are not to be in memory as well."""
    for comm in comms:
        if comm.closed is not None:
            comm.fields = None
