"""The recorder: facts go in, and are on the disk, in the document and with who follows it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from structlog.testing import capture_logs

from proxy.errors import StoreError
from proxy.record import archive, epochs, outputs
from proxy.record import recorder as module
from proxy.record.addresses import DocumentId
from proxy.record.archive import RetentionPolicy
from proxy.record.document import Document, DocumentBroken
from proxy.record.files import RecordFiles
from proxy.record.loading import load
from proxy.record.projection import Projection
from proxy.record.recorder import INTERVAL_SECONDS, RETRY_SECONDS, Recorder
from proxy.record.state import Display, SessionRecord, Stream
from proxy.record.values import Large
from proxy.session import facts
from tests.record import facts as f


class Follower:
    """Who is told of documents, and reads them."""

    def __init__(self) -> None:
        self.documents: dict[DocumentId, Document] = {}
        self.changes: list[DocumentId] = []
        self.retired: list[DocumentId] = []

    def add(self, document_id: DocumentId, document: Document) -> None:
        self.documents[document_id] = document

    def changed(self, document_id: DocumentId) -> None:
        self.changes.append(document_id)

    def retire(self, document_id: DocumentId) -> None:
        self.retired.append(document_id)


def new_recorder(directory: Path, policy: RetentionPolicy | None = None) -> Recorder:
    files = RecordFiles(directory)
    files.load()
    recorder = Recorder(SessionRecord("name", "python3", started=1.0), files, policy=policy)
    recorder.audience = Follower()
    return recorder


@asynccontextmanager
async def recording(
    directory: Path, policy: RetentionPolicy | None = None
) -> AsyncIterator[Recorder]:
    recorder = new_recorder(directory, policy)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(recorder.run)
        yield recorder
        nursery.cancel_scope.cancel()


def a_cell(name: str = "a") -> list[facts.Fact]:
    return [f.queued("1", name), f.sent(name), f.prints("out\n", name), f.ended(name)]


def texts(recorder: Recorder | None, directory: Path) -> list[str]:
    """What the cells printed, as a command reads it from the disk."""
    whole = load(directory)
    printed = []
    for execution in whole.record.executions.values():
        for output in execution.outputs.items:
            assert isinstance(output, Stream)
            pieces = [c if isinstance(c, str) else whole.fetch(c).decode() for c in output.chunks]
            printed.append("".join(pieces))
    return printed


async def test_what_is_told_is_on_the_disk_within_the_interval(tmp_path: Path) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take([facts.KernelBegan(at=1.0, found=False), *a_cell()])
        await trio.sleep(INTERVAL_SECONDS * 20)
        assert texts(recorder, tmp_path / "r") == ["out\n"]
        recorder.take([f.prints("more\n", "a"), *a_cell("b")])
        await recorder.flush()
        assert texts(recorder, tmp_path / "r") == ["out\nmore\n", "out\n"]
    assert texts(None, tmp_path / "r") == ["out\nmore\n", "out\n"], "and when it has ended"


async def test_the_last_facts_are_written_when_it_ends(tmp_path: Path) -> None:
    async with recording(tmp_path / "r") as recorder:
        await recorder.flush()
        recorder.take(a_cell())
    assert texts(None, tmp_path / "r") == ["out\n"]


async def test_who_follows_hears_of_each_change_and_of_another_document(tmp_path: Path) -> None:
    async with recording(tmp_path / "r") as recorder:
        follower = recorder.audience
        assert isinstance(follower, Follower)
        recorder.take([facts.KernelBegan(at=1.0, found=False), *a_cell()])
        await recorder.flush()
        first = recorder.document_id
        assert first is not None
        assert set(follower.documents) == {recorder.root_id, first}
        recorder.take([f.prints("more\n", "a")])
        await recorder.flush()
        assert follower.changes[-1] == first
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        second = recorder.document_id
        assert second is not None
        assert second != first
        assert follower.retired == [first]
        root = follower.documents[recorder.root_id].read()
        assert root["document"] == f"automerge:{second}"
        assert root["url"] == recorder.url == f"automerge:{recorder.root_id}"
        (cell,) = follower.documents[second].read()["executions"]  # type: ignore[misc]
        assert cell["outputs"][0]["text"] == ["out\nmore\n"], "in one piece again"  # type: ignore[index,call-overload]


async def test_a_document_with_too_much_history_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHANGES", 10)
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.opens("c", {"value": 0})])
        ids = set()
        for value in range(50):
            recorder.take([f.changes("c", {"value": value})])
            await recorder.flush()
            ids.add(recorder.document_id)
    assert 4 <= len(ids) <= 6
    comm = load(tmp_path / "r").record.comms["c"]
    assert comm.fields is not None
    assert bytes(comm.fields["value"].value or b"") == b"49"
    epochs = [path.name for path in (tmp_path / "r").glob("epoch-*")]
    assert len(epochs) == 2, "a snapshot and its log; the others are gone"


async def test_what_is_large_by_itself_is_not_written_anew_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OPERATIONS", 200)
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        written, ids = 0, set()
        for number in range(1000):
            recorder.take([f.shows({"text/plain": f"{number}"}, "a")])
            if number % 10 == 9:
                await recorder.flush()
                assert recorder._projection is not None
                if recorder.document_id not in ids:
                    ids.add(recorder.document_id)
                    written += recorder._projection.made_of[1]
        in_the_last = recorder._projection.document.operations  # type: ignore[union-attr]
    assert 4 <= len(ids) <= 8
    assert written < 2 * in_the_last, "in proportion, however many outputs there are"


async def test_of_a_cell_that_shows_things_for_ever_the_first_are_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_OUTPUTS", 50)
    monkeypatch.setattr(module, "MAX_OPERATIONS", 200)
    numbers = range(1000)
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        await recorder.flush()
        recorder.take([f.shows({"text/plain": f"{n}"}, "a", f"d{n}") for n in numbers])
        await recorder.flush()
        (execution,) = recorder.record.executions.values()
        kept = len(execution.outputs.items)
        assert 50 <= kept < 200
        assert execution.dropped_outputs == 1000 - kept
        shown = {"data": {"text/plain": "new"}, "metadata": {}}
        for number in (0, 998):
            transient = {"display_id": f"d{number}"}
            recorder.take([f.says("update_display_data", "a", **shown, transient=transient)])
    (execution,) = load(tmp_path / "r").record.executions.values()
    assert execution.dropped_outputs == 1000 - kept
    texts = [o.data["text/plain"] for o in execution.outputs.items if isinstance(o, Display)]
    wanted = [f"{n}" for n in numbers[-kept:]]
    wanted[-2] = "new"
    assert texts == wanted


async def test_large_values_are_blobs_and_go_when_nothing_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take([*a_cell(), f.shows({"text/plain": "x" * 100_000}, "a", "d")])
        await recorder.flush()
        blobs = recorder._files.blobs
        monkeypatch.setattr(blobs, "_grace_seconds", 0.0)
        assert blobs.count == 1
        recorder.take([f.says("clear_output", "a", wait=False)])
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        assert blobs.count == 0


async def test_large_json_is_a_blob(tmp_path: Path) -> None:
    figure = {"data": ["x" * 100] * 1000}  # as plotly's are
    async with recording(tmp_path / "r") as recorder:
        recorder.take([*a_cell(), f.shows({"application/vnd.plotly.v1+json": figure}, "a")])
        await recorder.flush()
    whole = load(tmp_path / "r")
    (execution,) = whole.record.executions.values()
    display = execution.outputs.items[1]
    assert isinstance(display, Display)
    (value,) = display.data.values()
    assert isinstance(value, Large)
    assert json.loads(whole.fetch(value)) == figure


async def test_what_a_closed_widget_was_is_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    picture = os.urandom(100_000)
    async with recording(tmp_path / "r") as recorder:
        for comm_id in ("closed", "left", "open"):
            recorder.take([f.opens(comm_id, {"n": 1}, paths=[["value"]], buffers=(picture,))])
            recorder.take([f.changes(comm_id, {"n": 2})])
        recorder.take([f.closes("closed"), f.closes("unknown")])
        await recorder.flush()
        comms = recorder.record.comms
        assert [comm_id for comm_id, comm in comms.items() if comm.fields] == ["left", "open"]
        recorder.take([facts.KernelEnded(at=2.0, reason="it died")])
        recorder.take([facts.KernelBegan(at=2.0, found=False), f.opens("open", {"n": 3})])
        await recorder.flush()
        assert [comm_id for comm_id, comm in comms.items() if comm.fields] == ["open"]
    for comm in load(tmp_path / "r").record.comms.values():
        assert comm.fields is not None
        if comm.comm_id != "open":
            assert bytes(comm.fields["n"].value or b"") == b"2"
            ((_, data),) = comm.fields["value"].buffers
            assert data == picture


async def test_long_streams_are_few_large_pieces_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MERGED_BYTES", 50_000)
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        for number in range(40):
            recorder.take([f.prints(f"{number}:{'x' * 9_000}\n", "a")])
            await recorder.flush()
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        (execution,) = recorder.record.executions.values()
        (stream,) = execution.outputs.items
        assert isinstance(stream, Stream)
        assert len(stream.chunks) == 7
    (text,) = texts(None, tmp_path / "r")
    assert text == "".join(f"{number}:{'x' * 9_000}\n" for number in range(40))


async def test_a_stream_of_which_a_piece_is_lost_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        for letter in "abc":
            recorder.take([f.prints(letter * 10_000, "a")])
            await recorder.flush()
        (execution,) = recorder.record.executions.values()
        (stream,) = execution.outputs.items
        assert isinstance(stream, Stream)
        lost = stream.chunks[1]
        assert isinstance(lost, Large)
        recorder.blobs.path(lost.sha256).unlink()
        with capture_logs() as logs:
            recorder.take([facts.KernelBegan(at=2.0, found=False)])
            await recorder.flush()
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
            "record.not_merged"
        ]
        assert recorder.record.not_durable_since is None
        kept = [c for c in stream.chunks if isinstance(c, Large) and c is not lost]
        assert [recorder.fetch(large)[:1] for large in kept] == [b"a", b"c"]


async def test_a_stream_that_is_too_long_loses_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MERGED_BYTES", 20_000)
    monkeypatch.setattr(outputs.bound, "__defaults__", (100_000,))
    async with recording(tmp_path / "r") as recorder:
        monkeypatch.setattr(recorder.blobs, "_grace_seconds", 0.0)
        recorder.take([f.queued("1", "a"), f.sent("a")])
        for number in range(30):
            recorder.take([f.prints(f"{number:02}".ljust(10_000, "."), "a")])
            await recorder.flush()
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        (execution,) = recorder.record.executions.values()
        (stream,) = execution.outputs.items
        assert isinstance(stream, Stream)
        assert stream.dropped_bytes == 200_000
        assert recorder.blobs.count == len(stream.chunks) == 5, "the others are gone"
    whole = load(tmp_path / "r").record
    (execution,) = whole.executions.values()
    (stream,) = execution.outputs.items
    assert isinstance(stream, Stream)
    assert stream.dropped_bytes == 200_000
    (text,) = texts(None, tmp_path / "r")
    assert text == "".join(f"{number:02}".ljust(10_000, ".") for number in range(20, 30))


async def test_what_is_long_over_is_in_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LIVE_EXECUTIONS", 5)
    monkeypatch.setattr(archive, "MIN_PAGE", 10)
    async with recording(tmp_path / "r") as recorder:
        for epoch in range(4):
            recorder.take([facts.KernelBegan(at=2.0, found=False)])
            for number in range(20):
                recorder.take(a_cell(f"{epoch}-{number}"))
            await recorder.flush()
        assert len(recorder.record.executions) <= 25
        await recorder.flush()
    whole = load(tmp_path / "r").record
    names = [execution.msg_id for execution in whole.executions.values()]
    assert names == [f"{epoch}-{number}" for epoch in range(4) for number in range(20)]


async def test_a_full_disk_is_survived_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    def full(*args: Any) -> None:
        raise StoreError("cannot write: no space left on device")

    async with recording(tmp_path / "r") as recorder:
        recorder.take(a_cell())
        await recorder.flush()
        for name in ("append", "begin_epoch", "sync"):
            monkeypatch.setattr(recorder._files, name, full)
        monkeypatch.setattr(recorder._files.blobs, "put", full)
        recorder.take([*a_cell("b"), f.shows({"text/plain": "x" * 100_000}, "b")])
        await recorder.flush()
        assert recorder.record.not_durable_since is not None
        (large,) = [v for v in recorder._all_values() if v.size == 100_000]
        assert recorder.fetch(large) == b"x" * 100_000, "in memory, as long as it must be"
        assert texts(recorder, tmp_path / "r") == ["out\n"], "what was there is there"
        monkeypatch.undo()
        recorder._broken_at = 0.0  # RETRY_SECONDS ago
        recorder.take(a_cell("c"))
        await recorder.flush()
        assert recorder.record.not_durable_since is None
    assert RETRY_SECONDS > 0
    whole = load(tmp_path / "r")
    assert len(whole.record.executions) == 3


async def test_others_have_their_turns_while_facts_are_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = new_recorder(tmp_path / "r")
    recorder.take([f.queued("1", "a"), f.sent("a")])
    await recorder.flush()
    take, folded, seen = recorder._folding.take, 0, set[int]()

    def takes_its_time(fact: facts.Fact) -> None:
        nonlocal folded
        time.sleep(module.FOLDING_SECONDS)
        take(fact)
        folded += 1

    async def watch() -> None:
        while folded < 10:
            seen.add(folded)
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(recorder._folding, "take", takes_its_time)
    recorder.take([f.prints("x", "a") for _ in range(10)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await recorder.flush()
    assert len(seen) >= 5, "after each one, one before the other or not"
    recorder._files.close()


async def test_a_flood_is_on_the_disk_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICES_AT_ONCE", 2)
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        await recorder.flush()
        follower = recorder.audience
        assert isinstance(follower, Follower)
        sizes: list[int] = []
        changed = follower.changed

        def appended(document_id: DocumentId) -> None:
            changed(document_id)
            sizes.append(recorder._files.log_bytes)

        monkeypatch.setattr(follower, "changed", appended)
        recorder.take([f.shows({"text/plain": f"{n}"}, "a") for n in range(200)])
        await recorder.flush()
        assert len(set(sizes)) > 3
        assert sizes == sorted(sizes), "it was appended before anybody was told"


async def test_a_document_that_panicked_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take(a_cell())
        await recorder.flush()
        first = recorder.document_id
        assert recorder._projection is not None

        def panics(*args: Any) -> bool:
            raise DocumentBroken("automerge panicked: for the test")

        monkeypatch.setattr(recorder._projection, "write", panics)
        recorder.take(a_cell("b"))
        await recorder.flush()
        assert recorder.document_id != first
    assert texts(None, tmp_path / "r") == ["out\n", "out\n"]


async def test_that_the_disk_takes_all_again_is_written_though_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise StoreError("cannot write: no space left on device")

    def says_so() -> Any:
        assert recorder._projection is not None
        return recorder._projection.document.read()["session"]["not_durable_since"]  # type: ignore[index,call-overload]

    async with recording(tmp_path / "r") as recorder:
        recorder.take(a_cell())
        await recorder.flush()
        with monkeypatch.context() as refusing:
            refusing.setattr(recorder._files, "append", full)
            recorder.take(a_cell("b"))
            await recorder.flush()
            recorder.take(a_cell("c"))
            await recorder.flush()
            assert says_so() is not None
        recorder._broken_at = 0.0  # RETRY_SECONDS ago
        with trio.fail_after(20):
            while says_so() is not None:
                await trio.sleep(INTERVAL_SECONDS)


async def test_a_kmux_that_ends_between_two_documents_has_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = new_recorder(tmp_path / "r")
    recorder.take(a_cell())
    await recorder.flush()
    on_disk = recorder._on_disk

    async def cancelled(action: Any, *arguments: Any) -> bool:
        if action == recorder._files.begin_epoch:
            scope.cancel()
        return await on_disk(action, *arguments)

    with monkeypatch.context() as ending, trio.CancelScope() as scope:
        ending.setattr(recorder, "_on_disk", cancelled)
        recorder.take([facts.KernelBegan(at=2.0, found=False), *a_cell("b")])
        await recorder.flush()
    assert scope.cancelled_caught
    recorder.take(a_cell("c"))
    await recorder.flush()  # the last one, as run() does it
    recorder._files.close()
    assert texts(None, tmp_path / "r") == ["out\n"] * 3
    document = epochs.read(tmp_path / "r").document
    assert document is not None
    assert len(document.heads) == 1, "changes of one document, not of two"


async def test_a_fact_that_cannot_be_folded_is_lost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording(tmp_path / "r") as recorder:
        take = recorder._folding.take

        def chokes(fact: facts.Fact) -> None:
            if fact.at == 99:
                raise ValueError("for the test")
            take(fact)

        monkeypatch.setattr(recorder._folding, "take", chokes)
        recorder.take([*a_cell(), facts.CommClosed(at=99, comm_id="c"), *a_cell("b")])
        await recorder.flush()
        assert recorder.record.not_durable_since is None
    assert texts(None, tmp_path / "r") == ["out\n", "out\n"]


async def test_a_bug_ends_no_session_and_the_record_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who only wants to run cells is to pay for it: an exception here would end kmux."""

    def fails(*args: Any) -> bool:
        raise ValueError("for the test")

    async with recording(tmp_path / "r") as recorder:
        recorder.take(a_cell())
        await recorder.flush()
        first = recorder.document_id
        with monkeypatch.context() as failing:
            failing.setattr(Projection, "write", fails)
            recorder.take(a_cell("b"))
            await recorder.flush()
            await recorder.flush()
        assert recorder.record.not_durable_since is not None
        recorder.take(a_cell("c"))
        recorder._failed_at = 0.0  # RETRY_SECONDS ago
        await recorder.flush()
        assert recorder.document_id != first, "half of it may be in the old one"
        assert recorder.record.not_durable_since is None
    assert texts(None, tmp_path / "r") == ["out\n"] * 3


@pytest.mark.parametrize("count", [2**63, -(2**63) - 1, 10**30])
async def test_a_count_that_no_document_can_have_is_none(tmp_path: Path, count: int) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        recorder.take([f.says("execute_input", "a", code="1", execution_count=count)])
        recorder.take([f.says("execute_result", "a", data={}, metadata={}, execution_count=count)])
        await recorder.flush()
        assert recorder.record.not_durable_since is None
    (execution,) = load(tmp_path / "r").record.executions.values()
    assert execution.execution_count is None


async def test_a_flood_lags_and_loses_nothing(tmp_path: Path) -> None:
    async with recording(tmp_path / "r") as recorder:
        recorder.take([f.queued("1", "a"), f.sent("a")])
        for number in range(20_000):
            recorder.take([f.prints(f"{number}\n", "a")])
            if number % 1000 == 0:
                await trio.lowlevel.checkpoint()
    (text,) = texts(None, tmp_path / "r")
    assert text == "".join(f"{number}\n" for number in range(20_000))


def test_files_are_the_users_own(tmp_path: Path) -> None:
    async def once() -> None:
        async with recording(tmp_path / "r") as recorder:
            recorder.take(a_cell())
            await recorder.flush()

    trio.run(once)
    modes = {os.stat(path).st_mode & 0o777 for path in (tmp_path / "r").rglob("*")}
    assert modes <= {0o600, 0o700}
