"""A record on the disk: what was promised is there after whatever happened to it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxy.errors import ConfigError, InternalError, StoreError
from proxy.record.blobs import Freed
from proxy.record.document import ROOT as DOCUMENT
from proxy.record.epochs import ROOT, Loaded, log_path, number_of, read, snapshot_path
from proxy.record.files import RecordFiles
from tests.record.documents import Growing, grown, noise, root_of
from tests.record.full_disk import full_disk

FULL = pytest.raises(StoreError, match=r"cannot write the record in .*: File too large")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "records" / "analysis"


@pytest.fixture
def files(directory: Path) -> Iterator[RecordFiles]:
    with RecordFiles(directory) as files:
        assert files.load() == Loaded()
        yield files


def begin(files: RecordFiles, diary: Growing, number: int = 1) -> None:
    files.begin_epoch(number, diary.snapshot, root_of(number))
    for change in diary.changes:
        files.append(change)


def loaded(directory: Path) -> Loaded:
    with RecordFiles(directory) as files:
        return files.load()


def content(found: Loaded) -> Any:
    assert found.document is not None
    return found.document.read()


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {"lock", "blobs"}


def test_what_was_written_is_loaded_and_goes_on(files: RecordFiles, directory: Path) -> None:
    diary = grown()
    begin(files, diary)
    blob = files.blobs.put(b"a picture", "image/png")
    files.close()
    with RecordFiles(directory) as again:
        found = again.load()
        assert (found.epoch, found.damaged) == (again.epoch, ()) == (1, ())
        assert number_of(found.root) == 1
        assert content(found) == diary.states[-1]
        assert again.log_bytes == len(diary.log)
        assert again.next_epoch == 2
        assert again.blobs.get(blob) == b"a picture"
        assert found.document is not None
        before = found.document.heads
        with found.document.write() as writer:
            writer.put(DOCUMENT, "count", -1)
        again.append(found.document.changes_since(before))
    assert content(loaded(directory)) == {**diary.states[-1], "count": -1}


def test_it_is_for_nobody_else(files: RecordFiles, directory: Path) -> None:
    begin(files, grown(1))
    assert {stat.S_IMODE(directory.parent.stat().st_mode)} == {0o700}
    for path in (directory, *directory.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_one_process_at_a_time_writes_it(files: RecordFiles, directory: Path) -> None:
    begin(files, grown())
    (directory / ".tmp-half").write_bytes(b"being written")
    with pytest.raises(ConfigError, match=f"process {os.getpid()} writes the record of 'analysis'"):
        RecordFiles(directory)
    assert (directory / ".tmp-half").exists(), "that one is not a crash's"
    assert content(read(directory)) == grown().states[-1], "others read"
    files.close()
    RecordFiles(directory).close()
    assert not (directory / ".tmp-half").exists()


def test_an_epoch_takes_the_place_of_the_one_before(files: RecordFiles, directory: Path) -> None:
    begin(files, grown())
    second = grown(3)
    begin(files, second, 2)
    assert names(directory) == {ROOT, "epoch-000002.automerge", "epoch-000002.log"}
    assert (files.epoch, files.next_epoch, files.log_bytes) == (2, 3, len(second.log))
    assert content(read(directory)) == second.states[-1]
    files.replace_root(second.snapshot)
    found = read(directory)
    assert found.root is not None
    assert found.root.read() == second.states[0]


def test_what_cannot_be_is_a_bug(directory: Path) -> None:
    with RecordFiles(directory) as files:
        with pytest.raises(InternalError):
            files.begin_epoch(1, b"", b"")  # it may be there already
        files.load()
        with pytest.raises(InternalError):
            files.append(b"1")
        begin(files, grown(1))
        with pytest.raises(InternalError):
            begin(files, grown(1))


# Cut and damaged


def test_cut_at_every_offset_it_is_repaired_and_goes_on(tmp_path: Path) -> None:
    diary = grown(4)
    with RecordFiles(tmp_path) as files:
        files.load()
        begin(files, diary)
    for cut in range(len(diary.log), -1, -1):
        log_path(tmp_path, 1).write_bytes(diary.log[:cut])
        with RecordFiles(tmp_path) as files:
            found = files.load()
            assert (content(found), found.damaged) == (diary.state_at(cut), ()), cut
            whole = len(diary.changes) - sum(end > cut for end in diary.ends)
            files.append(diary.changes[whole] if whole < len(diary.changes) else b"")
        assert content(read(tmp_path)) == diary.states[min(whole + 1, 4)], cut


@given(at=st.integers(0, 8), rubbish=st.binary(min_size=16, max_size=64))
def test_damage_in_the_middle_is_kept_and_told_and_what_is_ahead_goes_on(
    at: int, rubbish: bytes
) -> None:
    diary = grown(9)
    start = diary.ends[at]
    damaged = diary.log[:start] + rubbish + diary.log[start + len(rubbish) :]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with RecordFiles(directory) as files:
            files.load()
            begin(files, diary)
        log_path(directory, 1).write_bytes(damaged)
        with capture_logs() as logs, RecordFiles(directory) as files:
            found = files.load()
            assert content(found) == diary.states[at]
            (kept,) = found.damaged
            assert kept.read_bytes() == damaged
            assert kept.name.startswith("epoch-000001.log.damaged-")
            for change in diary.changes[at:]:
                files.append(change)
        assert [entry["event"] for entry in logs] == ["record.damaged"]
        again = loaded(directory)
        assert (content(again), again.damaged) == (diary.states[-1], ()), "once is enough"


def test_without_its_snapshot_an_epoch_is_set_aside(files: RecordFiles, directory: Path) -> None:
    diary = grown()
    begin(files, diary)
    files.close()
    snapshot_path(directory, 1).write_bytes(b"")
    with RecordFiles(directory) as files:
        found = files.load()
        assert (found.epoch, found.document) == (0, None)
        assert number_of(found.root) == 1
        snapshot, log = found.damaged
        assert (snapshot.read_bytes(), log.read_bytes()) == (b"", diary.log)
        assert files.next_epoch == 2
        begin(files, grown(3), 2)
    assert content(loaded(directory)) == grown(3).states[-1]
    snapshot_path(directory, 2).unlink()
    with RecordFiles(directory) as files:
        found = files.load()
        assert found.document is None
        assert [path.name[:17] for path in found.damaged] == ["epoch-000002.log."]
        assert files.next_epoch == 3
    assert snapshot.exists(), "nothing that was set aside is removed"


def test_a_damaged_root_is_set_aside(files: RecordFiles, directory: Path) -> None:
    begin(files, grown())
    files.close()
    (directory / ROOT).write_bytes(root_of(1)[:-1])
    with RecordFiles(directory) as files:
        found = files.load()
        assert found.root is None
        assert [path.name[:23] for path in found.damaged] == ["root.automerge.damaged-"]
        assert content(found) == grown().states[-1]
        files.replace_root(root_of(1))
    assert number_of(loaded(directory).root) == 1


def test_an_epoch_that_was_left_over_serves_when_the_present_one_is_damaged(
    files: RecordFiles, directory: Path
) -> None:
    first = grown()
    begin(files, first)
    old = {path: path.read_bytes() for path in directory.glob("epoch-*")}
    begin(files, grown(3), 2)
    files.close()
    for path, data in old.items():
        path.write_bytes(data)
    snapshot_path(directory, 2).write_bytes(b"damage")
    found = loaded(directory)
    assert (found.epoch, content(found)) == (1, first.states[-1])
    assert number_of(found.root) == 2
    assert len(found.damaged) == 2
    with RecordFiles(directory) as files:
        assert files.load().epoch == 1
        assert files.next_epoch == 3
        begin(files, grown(2), 3)
    assert {name for name in names(directory) if "damaged" not in name} == {
        ROOT,
        "epoch-000003.automerge",
        "epoch-000003.log",
    }


def test_a_log_that_cannot_be_read_is_set_aside(
    files: RecordFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = grown()
    begin(files, diary)
    files.close()
    read_bytes = Path.read_bytes

    def read(path: Path) -> bytes:
        if path.name == "epoch-000001.log":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_bytes(path)

    with monkeypatch.context() as patch, RecordFiles(directory) as files:
        patch.setattr(Path, "read_bytes", read)
        found = files.load()
        assert content(found) == diary.states[0]
        assert found.damaged[0].read_bytes() == diary.log
        files.append(diary.changes[0])
    assert content(loaded(directory)) == diary.states[1]


# A full disk


def test_an_append_that_did_not_fit_leaves_nothing_behind(
    files: RecordFiles, directory: Path
) -> None:
    diary = grown()
    begin(files, diary)
    before = files.log_bytes
    change = diary.grow(noise(20_000))
    with full_disk(after=before + 1000):
        for _ in range(2):
            with FULL:
                files.append(change)
        assert log_path(directory, 1).stat().st_size == files.log_bytes == before
        assert content(read(directory)) == diary.states[-2]
    files.append(change)
    files.append(diary.grow())
    assert content(read(directory)) == diary.states[-1]
    assert loaded_copy(directory).damaged == ()


def test_what_could_not_even_be_cut_off_is_before_the_next_append(
    files: RecordFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = grown()
    begin(files, diary)
    before = files.log_bytes
    change = diary.grow(noise(20_000))

    def refuse(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        with full_disk(after=before + 1000), FULL:
            files.append(change)
        with pytest.raises(StoreError, match="Input/output"):
            files.append(change)
    assert log_path(directory, 1).stat().st_size == before + 1000
    assert content(loaded_copy(directory)) == diary.states[-2], "if it were killed now"
    files.append(change)
    assert content(loaded_copy(directory)) == diary.states[-1]


@pytest.mark.parametrize("too_large", ["snapshot", "root"])
def test_an_epoch_that_did_not_fit_leaves_the_one_before(
    files: RecordFiles, directory: Path, too_large: str
) -> None:
    diary, second = grown(), Growing(2)
    begin(files, diary)
    large = grown(0)
    large.grow(noise(20_000))
    there = names(directory)
    with full_disk(after=10_000), FULL:
        if too_large == "snapshot":
            files.begin_epoch(2, large.document.save(), root_of(2))
        else:
            files.begin_epoch(2, second.snapshot, large.document.save())
    assert names(directory) == there
    files.append(diary.grow("it goes on"))
    assert content(loaded_copy(directory)) == diary.states[-1]
    files.begin_epoch(2, second.snapshot, root_of(2))
    assert content(loaded_copy(directory)) == second.states[0]


def test_a_root_that_did_not_fit_leaves_the_one_before(files: RecordFiles) -> None:
    begin(files, grown())
    with full_disk(after=1000), FULL:
        files.replace_root(noise(2000).encode())
    assert number_of(read(files.directory).root) == 1


def loaded_copy(directory: Path) -> Loaded:
    """What the next kmux would load if this one were killed now."""
    with tempfile.TemporaryDirectory() as name:
        return loaded(shutil.copytree(directory, Path(name) / "copy"))


# In which order


SYSTEM_CALLS = ("open", "write", "fsync", "fdatasync", "replace", "rename", "unlink", "ftruncate")


def before_each_system_call(patch: pytest.MonkeyPatch, do: Callable[[str, Any], None]) -> None:
    """Do something between any two of them: there a process may be killed."""
    busy = [False]

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not busy[0]:
                busy[0] = True
                try:
                    do(name, args[0])
                finally:
                    busy[0] = False
            return call(*args, **kwargs)

        return wrapper

    for name in SYSTEM_CALLS:
        patch.setattr(os, name, watched(name, getattr(os, name)))


def test_killed_at_any_instant_of_a_new_epoch_there_is_one_of_the_two(
    files: RecordFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = grown(), grown(3)
    begin(files, first)
    files.blobs.put(b"1", "image/png")
    found: list[tuple[int, int]] = []

    def look(name: str, what: Any) -> None:
        loaded = loaded_copy(directory)
        assert loaded.damaged == ()
        assert content(loaded) == (first.states[-1] if loaded.epoch == 1 else second.states[0])
        found.append((loaded.epoch, number_of(loaded.root)))

    with monkeypatch.context() as patch:
        before_each_system_call(patch, look)
        files.begin_epoch(2, second.snapshot, root_of(2))
    look("", None)
    assert found == sorted(found), "there is no way back"
    assert set(found) == {(1, 1), (2, 2)}, "the root is the document's"
    assert len(found) > 10


def test_to_open_a_record_waits_for_no_disk_and_its_first_document_for_its_directory(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def note(call: str, what: Any) -> None:
        if call == "fsync":
            done.append(Path(os.readlink(f"/proc/self/fd/{what}")).name)
        elif call == "replace":
            done.append("replace")

    with monkeypatch.context() as patch:
        before_each_system_call(patch, note)
        files = RecordFiles(directory)
        files.load()
        assert done == []
        files.begin_epoch(1, Growing(1).snapshot, root_of(1))
        assert done[: done.index("replace")][:2] == ["records", directory.parents[1].name]
        done.clear()
        files.begin_epoch(2, Growing(2).snapshot, root_of(2))
        assert "records" not in done, "it is there"
    files.close()


def test_nothing_is_given_up_before_what_takes_its_place_is_on_the_disk(
    files: RecordFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(files, grown())
    shard = files.blobs.put(b"1", "image/png")[:2]
    done: list[str] = []

    def note(call: str, what: Any) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{what}")) if isinstance(what, int) else Path(what)
        if call not in ("open", "write"):
            done.append(f"{call} {'new file' if path.name.startswith('.tmp-') else path.name}")

    with monkeypatch.context() as patch:
        before_each_system_call(patch, note)
        files.begin_epoch(2, Growing(2).snapshot, root_of(2))
        assert done == [
            f"fsync {shard}",
            "unlink epoch-000002.automerge",
            "unlink epoch-000002.log",
            "fsync new file",
            "replace new file",
            "fsync analysis",
            "fsync new file",
            "replace new file",
            "fsync analysis",
            "unlink epoch-000001.automerge",
            "unlink epoch-000001.log",
        ]
        done.clear()
        files.append(b"1")
        shard = files.blobs.put(b"2", "image/png")[:2]
        done.clear()
        files.sync()
        files.sync()
        assert done == [f"fsync {shard}", "fdatasync epoch-000002.log"]


def test_blobs_are_removed_when_the_document_without_them_is_on_the_disk(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RecordFiles(directory) as files:
        files.load()
        begin(files, grown(0))
        blob = files.blobs.put(b"1", "image/png")
    with RecordFiles(directory, blob_limit_bytes=0) as files:
        files.load()
        assert files.blobs.excess_bytes == 1
        files.append(grown(1).log)
        done: list[str] = []
        with monkeypatch.context() as patch:
            before_each_system_call(patch, lambda call, what: done.append(call))
            assert files.collect({blob}) == Freed(0, 0)
            assert files.collect(()) == Freed(1, 1)
        assert done.index("fdatasync") < done.index("unlink")
