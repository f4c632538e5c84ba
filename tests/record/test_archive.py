"""What is long over, and what is let go of."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import trio

from proxy.errors import StoreError
from proxy.record import archive as module
from proxy.record.archive import Archive, Page, RetentionPolicy, blobs_in, draft, overdue
from proxy.record.blobs import BlobLost
from proxy.record.files import RecordFiles
from proxy.record.loading import load
from proxy.record.recorder import Recorder
from proxy.record.state import SessionRecord
from proxy.record.values import Large
from proxy.session import facts
from tests.record import facts as f
from tests.record.test_recorder import new_recorder, recording

KEEP_ALL = RetentionPolicy(executions=None, bytes=None)


def pages(*sizes: int) -> list[Page]:
    return [
        Page(
            large=Large("application/json", "json", 1, sha256=f"{at:064}"),
            executions=10,
            outputs=20,
            bytes=size,
            until=float(at),
        )
        for at, size in enumerate(sizes)
    ]


def test_the_oldest_pages_go_first_and_only_as_many_as_must() -> None:
    kept = pages(100, 100, 100, 100)
    assert overdue(kept, KEEP_ALL, at=1e9) == 0
    assert overdue(kept, RetentionPolicy(executions=40, bytes=None), at=0) == 0
    assert overdue(kept, RetentionPolicy(executions=39, bytes=None), at=0) == 1
    assert overdue(kept, RetentionPolicy(executions=None, bytes=250), at=0) == 2
    assert overdue(kept, RetentionPolicy(executions=None, bytes=None, seconds=2.5), at=4) == 2
    assert overdue(kept, RetentionPolicy(executions=0, bytes=0, seconds=0), at=9) == 4
    assert overdue([], RetentionPolicy(executions=0), at=0) == 0


def test_blobs_are_found_wherever_they_are() -> None:
    blob = {"blob": "a", "size": 1, "media_type": "", "encoding": "json"}
    tree = {"one": blob, "two": [{"deep": {**blob, "blob": "b", "size": 2}}, "text", None]}
    assert blobs_in(tree) == {("a", 1), ("b", 2)}
    assert blobs_in("text") == set()


def test_a_page_is_read_once_for_what_it_names() -> None:
    one, two, three = pages(1, 1, 1)
    archive = Archive([one, two], KEEP_ALL)
    archive.add(three, ["new"])
    read = []

    def get(name: str) -> bytes:
        read.append(name)
        return json.dumps({"executions": [{"blob": f"of {name}", "size": 1}]}).encode()

    names = [page.large.sha256 for page in (one, two, three)]
    wanted = {*names, f"of {names[0]}", f"of {names[1]}", "new"}
    assert archive.named(get) == archive.named(get) == wanted
    assert read == names[:2]


def test_a_page_that_is_lost_is_let_go_of_and_one_that_cannot_be_read_now_is_not() -> None:
    one, two = pages(1, 1)
    archive = Archive([one, two], KEEP_ALL)

    def lost(name: str) -> bytes:
        if name == one.large.sha256:
            raise BlobLost("for the test")
        return b"{}"

    def refused(name: str) -> bytes:
        raise StoreError("cannot read it: too many open files")

    with pytest.raises(StoreError):
        archive.named(refused)
    assert archive.let_go(at=0).executions == 0
    assert archive.named(lost) == {two.large.sha256}
    gone = archive.let_go(at=0)
    assert (gone.executions, gone.outputs, gone.bytes) == (10, 20, 1)
    assert archive.pages == [two]


def test_too_little_makes_no_page() -> None:
    record = SessionRecord("s", "k")
    folding = f.Folding(record, f.LIMIT)
    for number in range(module.LIVE_EXECUTIONS + module.MIN_PAGE - 1):
        folding.take(f.queued("1", f"m{number}"))
        folding.take(f.ended(f"m{number}"))
    assert draft(record) is None
    folding.take(f.queued("1", "not over"))
    assert draft(record) is None


# With a recorder


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVE_EXECUTIONS", 5)
    monkeypatch.setattr(module, "MIN_PAGE", 10)
    monkeypatch.setattr(module, "AT_ONCE", 3)


async def run_epochs(recorder: Recorder, count: int) -> None:
    """Epochs of 20 cells; each cell displays something large of its own."""
    for epoch in range(count):
        recorder.take([facts.KernelBegan(at=1.0, found=False)])
        await recorder.flush()
        for number in range(20):
            name = f"{epoch}-{number}"
            recorder.take([f.queued("1", name), f.sent(name)])
            recorder.take([f.shows({"text/plain": name.ljust(10_000)}, name), f.ended(name)])
        await recorder.flush()


def names(directory: Path) -> list[str]:
    return [execution.msg_id for execution in load(directory).record.executions.values()]


def count_of_blobs(directory: Path) -> int:
    return sum(path.is_file() for path in (directory / "blobs").glob("??/*"))


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    "policy",
    [
        RetentionPolicy(executions=30, bytes=None),
        RetentionPolicy(executions=None, bytes=350_000),
        RetentionPolicy(executions=None, bytes=None, seconds=-1),
    ],
    ids=["count", "bytes", "age"],
)
async def test_what_is_let_go_of_is_counted_and_its_blobs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: RetentionPolicy
) -> None:
    async with recording(tmp_path / "r", policy=policy) as recorder:
        monkeypatch.setattr(recorder.blobs, "_grace_seconds", 0.0)
        await run_epochs(recorder, 5)
        recorder.take([facts.KernelBegan(at=1.0, found=False)])
        await recorder.flush()
        kept, let_go = names(tmp_path / "r"), recorder.record.let_go
        everything = [f"{epoch}-{number}" for epoch in range(5) for number in range(20)]
        assert 5 <= len(kept) <= 60
        assert kept == everything[-len(kept) :]
        assert let_go.executions == let_go.outputs == 100 - len(kept)
        assert let_go.bytes > 10_000 * let_go.executions
        on_disk = load(tmp_path / "r").record.let_go
        assert (on_disk.executions, on_disk.bytes) == (let_go.executions, let_go.bytes)
        in_pages = len(recorder._archive.pages)
        assert count_of_blobs(tmp_path / "r") == len(kept) + in_pages


@pytest.mark.usefixtures("small_pages")
async def test_what_an_archive_names_is_kept_also_when_kmux_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "r"
    async with recording(directory) as recorder:
        await run_epochs(recorder, 3)
        pages, record = list(recorder._archive.pages), recorder.record
    assert len(pages) >= 2
    files = RecordFiles(directory)
    files.load()
    again = Recorder(record, files, pages=pages)
    monkeypatch.setattr(again.blobs, "_grace_seconds", 0.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(again.run)
        again.take([facts.KernelBegan(at=2.0, found=False)])
        await again.flush()
        await again.flush()
        nursery.cancel_scope.cancel()
    whole = load(directory)
    assert len(whole.record.executions) == 60
    for execution in whole.record.executions.values():
        (display,) = execution.outputs.items
        (value,) = display.data.values()  # type: ignore[union-attr]
        assert whole.fetch(value) == execution.msg_id.ljust(10_000).encode()  # type: ignore[arg-type]


@pytest.mark.usefixtures("small_pages")
async def test_a_page_that_is_damaged_costs_what_is_on_it_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "r"
    async with recording(directory) as recorder:
        await run_epochs(recorder, 3)
        monkeypatch.setattr(recorder.blobs, "_grace_seconds", 0.0)
        first, *others = recorder._archive.pages
        recorder.blobs.path(first.large.sha256).write_bytes(b"damaged")
        recorder._archive = Archive([first, *others], KEEP_ALL)  # as it was read
        for _ in range(2):
            recorder.take([facts.KernelBegan(at=2.0, found=False)])
            await recorder.flush()
            assert recorder.record.not_durable_since is None, "the disk is well"
        assert recorder._archive.pages[: len(others)] == others
        assert recorder.record.let_go.executions == first.executions
        assert len(names(directory)) == 60 - first.executions
        in_pages = len(recorder._archive.pages)
        damaged = len(list((directory / "blobs").glob("*.damaged-*")))
        assert damaged == 1
        assert count_of_blobs(directory) == 60 - first.executions + in_pages


@pytest.mark.usefixtures("small_pages")
async def test_whenever_it_ends_no_cell_is_on_its_way_to_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = new_recorder(tmp_path / "r")
    await run_epochs(recorder, 1)
    store = recorder._store

    async def cancelled(values: list[Large]) -> None:
        if any(value.media_type == "application/json" for value in values):
            scope.cancel()
        await store(values)

    with monkeypatch.context() as ending, trio.CancelScope() as scope:
        ending.setattr(recorder, "_store", cancelled)
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
    assert scope.cancelled_caught
    await recorder.flush()  # the last one, as run() does it
    recorder._files.close()
    assert names(tmp_path / "r") == [f"0-{number}" for number in range(20)]


@pytest.mark.usefixtures("small_pages")
async def test_what_the_disk_does_not_take_stays_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> str:
        raise StoreError("cannot write: no space left on device")

    async with recording(tmp_path / "r") as recorder:
        await run_epochs(recorder, 1)
        with monkeypatch.context() as refusing:
            refusing.setattr(recorder.blobs, "put", full)
            recorder.take([facts.KernelBegan(at=2.0, found=False)])
            await recorder.flush()
            assert recorder.record.not_durable_since is not None
        assert (len(recorder.record.executions), recorder._archive.pages) == (20, [])
        recorder._broken_at = 0.0  # RETRY_SECONDS ago
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        recorder.take([facts.KernelBegan(at=2.0, found=False)])
        await recorder.flush()
        assert (len(recorder.record.executions), len(recorder._archive.pages)) == (5, 1)
    assert names(tmp_path / "r") == [f"0-{number}" for number in range(20)]


def test_a_page_is_named_by_what_is_in_it() -> None:
    record = SessionRecord("s", "k")
    folding = f.Folding(record, f.LIMIT)
    store = f.Store()
    for number in range(module.LIVE_EXECUTIONS + module.MIN_PAGE):
        folding.take(f.queued("x" * f.LIMIT, f"m{number}"))
        folding.take(f.ended(f"m{number}"))
    store.put(folding.settle())
    over = draft(record)
    assert over is not None
    while over.add_some():
        pass
    page = over.page(at=1.0)
    assert page.large.part is not None
    raw = bytes(page.large.part)
    assert page.bytes == len(raw) + f.LIMIT
    assert set(over.blobs) == {hashlib.sha256(b"x" * f.LIMIT).hexdigest()}
    assert blobs_in(json.loads(raw)) == set(over.blobs.items())
