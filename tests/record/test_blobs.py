"""Large values on the disk: once each, whole or not at all, and gone when nobody names them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from structlog.testing import capture_logs

from proxy.errors import StoreError
from proxy.record.blobs import GRACE_SECONDS, Blobs, BlobStore, Freed
from proxy.record.values import BINARY
from tests.record.full_disk import full_disk

PNG, PDF = "image/png", "application/pdf"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(directory: Path) -> BlobStore:
    return BlobStore(directory)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass for the store."""
    start, passed = time.monotonic(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: start + passed[0])

    def wait(seconds: float) -> None:
        passed[0] += seconds

    return wait


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_a_value_is_found_by_its_hash(blobs: BlobStore) -> None:
    name = blobs.put(b"a picture", PNG)
    assert name == hashlib.sha256(b"a picture").hexdigest()
    for reader in (blobs, Blobs(blobs.directory)):
        assert reader.get(name) == b"a picture"
        assert reader.media_type(name) == PNG
        assert reader.size(name) == 9
        assert reader.path(name).read_bytes() == b"a picture"
    assert (blobs.count, blobs.total_bytes) == (1, 9)


def test_the_end_of_a_value_is_read_without_the_rest(blobs: BlobStore) -> None:
    name = blobs.put(b"a picture", PNG)
    assert (blobs.tail(name, 4), blobs.tail(name, 100)) == (b"ture", b"a picture")
    with pytest.raises(StoreError):
        blobs.tail("0" * 64, 4)


@given(st.lists(st.binary(max_size=30), max_size=5), st.booleans())
def test_parts_are_joined(parts: list[bytes], as_views: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        blobs = BlobStore(Path(directory))
        name = blobs.put([memoryview(p) for p in parts] if as_views else parts, BINARY)
        assert blobs.get(name) == b"".join(parts)
        assert blobs.put(memoryview(b"".join(parts)), BINARY) == name
        assert (blobs.count, blobs.total_bytes) == (1, sum(map(len, parts)))


def test_it_is_for_nobody_else(blobs: BlobStore) -> None:
    path = blobs.path(blobs.put(b"1", PNG))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(d.stat().st_mode) for d in (path.parent, blobs.directory)} == {0o700}


def test_the_same_bytes_are_written_once(blobs: BlobStore) -> None:
    name = blobs.put(b"again", PNG)
    before = blobs.path(name).stat()
    assert blobs.put([b"ag", b"ain"], PNG) == name
    assert blobs.path(name).stat() == before
    assert (blobs.count, blobs.total_bytes) == (1, 5)


@pytest.mark.parametrize("has_links", [True, False])
def test_the_same_bytes_as_something_else(
    blobs: BlobStore, has_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_links:

        def link(source: Path, target: Path) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
    name = blobs.put(b"bytes", BINARY)
    assert blobs.put(b"bytes", PDF) == name
    assert blobs.media_types(name) == [PDF, BINARY]
    assert blobs.media_type(name) == PDF, "anything says more than 'some bytes'"
    assert blobs.get(name) == b"bytes"
    assert blobs.count == 1
    assert blobs.total_bytes == (5 if has_links else 10), "a link takes no space"
    again = BlobStore(blobs.directory, grace_seconds=0)
    assert (again.count, again.total_bytes) == (1, blobs.total_bytes)
    assert again.collect(()) == Freed(1, blobs.total_bytes)
    assert files(blobs.directory) == []


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.jupyter.widget-view+json",
        "text/plain; charset=utf-8",
        'application/x;a="b c";d=e',
        "image/svg+xml",
        "application/x.tmp",
        "application/x.damaged-20260102-030405",
    ],
)
def test_media_types_are_kept(blobs: BlobStore, media_type: str) -> None:
    name = blobs.put(b"1", media_type)
    assert BlobStore(blobs.directory).media_type(name) == media_type
    assert blobs.get(name) == b"1"


@pytest.mark.parametrize(
    "media_type",
    ["", "png", "../../x/y", "a/b\r\nSet-Cookie: c", "ü/b", "a/b/c", "a/" + "b" * 200, "a/b\x00"],
)
def test_what_a_kernel_makes_up_is_some_bytes(blobs: BlobStore, media_type: str) -> None:
    """It would be the name of a file and a header of an HTTP response."""
    name = blobs.put(b"1", media_type)
    assert blobs.media_type(name) == BINARY
    assert len(files(blobs.directory)) == 1


@given(st.text(max_size=60) | st.from_regex(r"[a-z.]+/[a-z.+-]+(;.*)?", fullmatch=True))
def test_no_media_type_is_a_way_out_of_the_directory(media_type: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        blobs = BlobStore(Path(directory) / "a" / "blobs")
        name = blobs.put(b"1", media_type)
        assert blobs.media_type(name) in (media_type, BINARY)
        assert files(Path(directory)) == [blobs.path(name)]
        assert blobs.path(name).parent.parent == blobs.directory


@pytest.mark.parametrize(
    "name",
    ["", "a", "../../../../etc/passwd", "0" * 64, "0" * 63 + "*", "G" * 64, "ab/" + "0" * 61],
)
def test_what_is_not_there_is_an_error_in_one_line(blobs: BlobStore, name: str) -> None:
    blobs.put(b"1", PNG)
    for ask in (blobs.get, blobs.path, blobs.size, blobs.media_type):
        with pytest.raises(StoreError, match=r"^there is no blob .*$"):
            ask(name)


# Damage


def test_a_damaged_blob_is_set_aside_and_stored_anew(blobs: BlobStore) -> None:
    name = blobs.put(b"a picture", PNG)
    blobs.path(name).write_bytes(b"a pixture")
    with capture_logs() as logs, pytest.raises(StoreError, match=f"{name} is damaged"):
        blobs.get(name)
    (kept,) = files(blobs.directory)
    assert kept.read_bytes() == b"a pixture"
    assert ".damaged-" in kept.name
    assert [entry["event"] for entry in logs] == ["record.damaged"]
    with pytest.raises(StoreError, match="there is no blob"):
        blobs.get(name)
    assert blobs.put(b"a picture", PNG) == name
    assert blobs.get(name) == b"a picture"
    assert BlobStore(blobs.directory).count == 1, "what was set aside is none"


def test_one_that_became_shorter_is_stored_anew_without_being_read(blobs: BlobStore) -> None:
    """So a filesystem may leave a file after a power failure."""
    name = blobs.put(b"a picture", PNG)
    blobs.path(name).write_bytes(b"")
    blobs = BlobStore(blobs.directory)
    blobs.put(b"a picture", PNG)
    assert blobs.get(name) == b"a picture"
    assert (blobs.count, blobs.total_bytes) == (1, 9)
    blobs.path(name).write_bytes(b"")
    blobs.put(b"a picture", PDF)
    assert blobs.get(name) == b"a picture", "the other name is no link of the short one"


# What nobody names


def test_what_no_document_names_is_removed(blobs: BlobStore, wait: Callable[[float], None]) -> None:
    first, second, third = (blobs.put(content, PNG) for content in (b"1", b"22", b"333"))
    wait(GRACE_SECONDS + 1)
    assert blobs.collect([second]) == Freed(blobs=2, bytes=4)
    assert blobs.get(second) == b"22"
    for name in (first, third):
        with pytest.raises(StoreError):
            blobs.get(name)
    assert (blobs.count, blobs.total_bytes) == (1, 2)


def test_what_was_put_a_short_while_ago_waits_for_its_document(
    blobs: BlobStore, wait: Callable[[float], None]
) -> None:
    old = blobs.put(b"old", PNG)
    again = blobs.put(b"again", PNG)
    wait(GRACE_SECONDS - 1)
    new = blobs.put(b"new", PNG)
    assert blobs.put(b"again", PNG) == again
    assert blobs.collect(set()) == Freed(0, 0)
    wait(2)
    assert blobs.collect(set()) == Freed(1, 3)
    with pytest.raises(StoreError):
        blobs.get(old)
    assert blobs.get(new) == b"new"
    assert blobs.get(again) == b"again", "it was there, but was put again"
    wait(GRACE_SECONDS)
    assert blobs.collect(set()) == Freed(2, 8)


def test_how_full_it_is(directory: Path) -> None:
    blobs = BlobStore(directory, limit_bytes=10)
    blobs.put(b"123456", PNG)
    assert blobs.excess_bytes == 0
    blobs.put(b"1234567", PNG)
    assert blobs.excess_bytes == 3
    assert BlobStore(directory, limit_bytes=10).excess_bytes == 3


def test_at_start_it_removes_what_a_crash_left_and_nothing_else(blobs: BlobStore) -> None:
    name = blobs.put(b"1", PNG)
    shard = blobs.path(name).parent
    (shard / ".tmp-0123").write_bytes(b"half")
    (shard / "README").write_bytes(b"not ours")
    (blobs.directory / "zz").mkdir()
    again = BlobStore(blobs.directory, grace_seconds=0)
    assert (again.count, again.total_bytes) == (1, 1)
    again.collect(())
    assert files(blobs.directory) == [shard / "README"]


# The disk


def test_a_full_disk_takes_nothing_and_spoils_nothing(blobs: BlobStore) -> None:
    before = blobs.put(b"before", PNG)
    large = b"1" * 50_000
    with full_disk(after=20_000), pytest.raises(StoreError, match="cannot store a blob in"):
        blobs.put(large, PNG)
    assert blobs.get(before) == b"before"
    assert (blobs.count, blobs.total_bytes) == (1, 6)
    assert len(files(blobs.directory)) == 1
    assert blobs.get(blobs.put(large, PNG)) == large


def test_a_directory_that_is_gone_is_a_store_error(blobs: BlobStore) -> None:
    shutil.rmtree(blobs.directory)
    with pytest.raises(StoreError):
        blobs.collect(())
    blobs.directory.write_bytes(b"a file")
    with pytest.raises(StoreError, match="Not a directory"):
        blobs.put(b"1", PNG)
    with pytest.raises(StoreError, match="Not a directory"):
        BlobStore(blobs.directory)


def test_bytes_are_on_the_disk_before_their_name_and_the_name_when_it_is_synced(
    blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        done.append(f"fsync {'a file' if path.is_file() else path.name}")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        done.append(f"rename to {target.name[:2]}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    shard = blobs.put(b"1", PNG)[:2]
    assert done == ["fsync blobs", "fsync a file", f"rename to {shard}"], "of the new directory"
    done.clear()
    blobs.sync()
    blobs.sync()
    blobs.put(b"1", PNG)
    blobs.sync()
    assert done == [f"fsync {shard}"]
    blobs.put(b"1", PDF)
    blobs.sync()
    assert done == [f"fsync {shard}"] * 2, "a link has a name too"
    BlobStore(blobs.directory).sync()
    assert done == [f"fsync {shard}"] * 3, "who was killed may not have come to it"


class Keeping(RuleBasedStateMachine):
    """Any order of putting, collecting, damaging and starting anew."""

    contents = st.binary(max_size=2) | st.sampled_from([b"x" * 5000, b"y" * 5000])
    types = st.sampled_from([PNG, PDF, BINARY, "nonsense"])

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.stored: dict[str, bytes] = {}
        self.restart()

    @rule()
    def restart(self) -> None:
        self.blobs = BlobStore(self.directory, grace_seconds=0)

    @rule(content=contents, media_type=types)
    def put(self, content: bytes, media_type: str) -> None:
        self.stored[self.blobs.put(content, media_type)] = content

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.stored)))
        for path in self.directory.glob(f"??/{name}.*"):
            path.write_bytes(b"!")
        with pytest.raises(StoreError, match="damaged"):
            self.blobs.get(name)
        del self.stored[name]
        self.blobs.collect(self.stored)  # counts

    @rule(data=st.data())
    def collect(self, data: st.DataObject) -> None:
        live = data.draw(st.sets(st.sampled_from(sorted(self.stored)))) if self.stored else set()
        gone = set(self.stored) - live
        freed = self.blobs.collect(live)
        assert freed == Freed(len(gone), sum(len(self.stored.pop(name)) for name in gone))

    @invariant()
    def all_is_there_and_counted(self) -> None:
        assert self.blobs.count == len(self.stored)
        assert self.blobs.total_bytes == sum(map(len, self.stored.values()))
        for name, content in self.stored.items():
            assert self.blobs.get(name) == content

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(max_examples=25, stateful_step_count=20)
