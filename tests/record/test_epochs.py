"""What is read of a record, wherever its files are cut or damaged. Nothing is changed by it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import StoreError
from proxy.record.document import ROOT as ROOT_OBJECT
from proxy.record.document import Document
from proxy.record.epochs import (
    ROOT,
    Epoch,
    Loaded,
    epoch_numbers,
    log_path,
    number_of,
    read,
    read_epoch,
    snapshot_path,
)
from tests.record.documents import Growing, grown, root_of

DIARY = grown()


def write(directory: Path, number: int, snapshot: bytes, log: bytes | None) -> None:
    snapshot_path(directory, number).write_bytes(snapshot)
    if log is not None:
        log_path(directory, number).write_bytes(log)


@contextmanager
def record(snapshot: bytes, log: bytes | None) -> Iterator[Path]:
    """A record of one epoch."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), 1, snapshot, log)
        yield Path(name)


def usable(directory: Path, number: int = 1) -> Epoch:
    epoch = read_epoch(directory, number)
    assert isinstance(epoch, Epoch), epoch
    return epoch


def content(loaded: Loaded) -> Any:
    assert loaded.document is not None
    return loaded.document.read()


def test_the_snapshot_and_the_changes_since_are_the_document() -> None:
    with record(DIARY.snapshot, DIARY.log) as directory:
        epoch = usable(directory)
        assert epoch.document.read() == DIARY.states[-1]
        assert epoch.document.heads == DIARY.document.heads, "it can go on from there"
        assert (epoch.length, epoch.damage) == (len(DIARY.log), "")


@pytest.mark.parametrize("log", [None, b""], ids=["no log", "an empty one"])
def test_an_epoch_may_be_without_changes(log: bytes | None) -> None:
    with record(DIARY.snapshot, log) as directory:
        assert usable(directory).document.read() == DIARY.states[0]


def test_a_snapshot_may_be_changes_itself() -> None:
    with record(DIARY.snapshot + DIARY.log, b"") as directory:
        assert usable(directory).document.read() == DIARY.states[-1]
        write(directory, 1, DIARY.document.save(), DIARY.log)
        assert usable(directory).document.read() == DIARY.states[-1], "it has them already"


def test_cut_at_every_offset_the_log_loses_the_last_change_at_most() -> None:
    with record(DIARY.snapshot, DIARY.log) as directory:
        for cut in range(len(DIARY.log) - 1, -1, -1):
            os.truncate(log_path(directory, 1), cut)
            epoch = usable(directory)
            assert epoch.document.read() == DIARY.state_at(cut), cut
            assert epoch.length == max(end for end in DIARY.ends if end <= cut), cut
            assert epoch.damage == "", cut


def test_cut_at_any_offset_a_snapshot_is_refused_without_asking_automerge() -> None:
    with record(DIARY.snapshot, DIARY.log) as directory:
        for cut in range(len(DIARY.snapshot) - 1, -1, -1):
            os.truncate(snapshot_path(directory, 1), cut)
            assert read_epoch(directory, 1) == "the snapshot is not whole"


@given(at=st.integers(0, len(DIARY.log) - 1), damage=st.binary(min_size=1, max_size=4))
def test_what_is_ahead_of_damage_is_read(at: int, damage: bytes) -> None:
    log = bytearray(DIARY.log)
    log[at : at + len(damage)] = damage[: len(log) - at]
    changed = [
        n for n, (is_now, was) in enumerate(zip(log, DIARY.log, strict=True)) if is_now != was
    ]
    with record(DIARY.snapshot, bytes(log)) as directory:
        epoch = usable(directory)
        assert epoch.document.read() == DIARY.state_at(epoch.length)
        if epoch.length == len(log):
            return  # there are bits in compressed changes that mean nothing
        assert any(epoch.length <= n < DIARY.end_of_the_change_at(epoch.length) for n in changed)
        assert epoch.damage or epoch.length == DIARY.ends[-2], "what may be torn is the last one"


@given(at=st.integers(0, len(DIARY.snapshot) - 1), flipped=st.integers(1, 255))
def test_a_damaged_snapshot_is_refused(at: int, flipped: int) -> None:
    snapshot = bytearray(DIARY.snapshot)
    snapshot[at] ^= flipped
    with record(bytes(snapshot), DIARY.log) as directory:
        assert read_epoch(directory, 1) == "the snapshot is not whole"


@given(st.sets(st.integers(0, len(DIARY.changes) - 1)))
def test_what_comes_after_a_missing_change_is_damage(missing: set[int]) -> None:
    """Automerge itself loads such a log, says nothing, and does not have what came after."""
    changes = [change for n, change in enumerate(DIARY.changes) if n not in missing]
    with record(DIARY.snapshot, b"".join(changes)) as directory:
        epoch = usable(directory)
        first = min(missing, default=len(DIARY.changes))
        assert epoch.document.read() == DIARY.states[first]
        assert epoch.length == DIARY.ends[first]
        assert bool(epoch.damage) == (len(changes) > first)


def test_changes_of_another_document_are_damage() -> None:
    with record(DIARY.snapshot, DIARY.changes[0] + grown(1).log) as directory:
        epoch = usable(directory)
        assert epoch.document.read() == DIARY.states[1]
        assert epoch.damage == f"Automerge refuses the change at {DIARY.ends[1]}"


def test_what_automerge_refuses_is_no_snapshot() -> None:
    """Its checksum is right: a change without the ones ahead of it."""
    with record(DIARY.changes[3], b"") as directory:
        assert read_epoch(directory, 1) == "Automerge refuses the snapshot"


def test_an_epoch_without_a_snapshot_is_none(tmp_path: Path) -> None:
    log_path(tmp_path, 3).write_bytes(DIARY.log)
    assert epoch_numbers(tmp_path) == {3}
    assert read_epoch(tmp_path, 3) == "its snapshot is missing"


def test_a_medium_that_cannot_be_read_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes = Path.read_bytes

    def broken(where: Callable[[Path], bool], code: int) -> None:
        def read(path: Path) -> bytes:
            if where(path):
                raise OSError(code, os.strerror(code))
            return read_bytes(path)

        monkeypatch.setattr(Path, "read_bytes", read)

    write(tmp_path, 1, DIARY.snapshot, DIARY.log)
    broken(lambda path: path.suffix == ".log", errno.EIO)
    epoch = usable(tmp_path)
    assert (epoch.document.read(), epoch.damage) == (DIARY.states[0], "the log cannot be read")
    broken(lambda path: path.suffix == ".automerge", errno.EIO)
    assert read_epoch(tmp_path, 1) == "the snapshot is not whole"
    broken(lambda path: True, errno.EACCES)
    with pytest.raises(StoreError, match=f"cannot read the record in {tmp_path}: Permission"):
        read(tmp_path)


# The whole record


def test_where_there_is_nothing_nothing_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == read(tmp_path) == Loaded()
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("named", "expected"), [(1, 1), (2, 2), (7, 3), (None, 3)], ids=["1", "2", "gone", "no root"]
)
def test_the_root_says_which_epoch_it_is_else_it_is_the_latest(
    tmp_path: Path, named: int | None, expected: int
) -> None:
    for number in (1, 2, 3):
        write(tmp_path, number, Growing(number).snapshot, b"")
    (tmp_path / "epoch-000009.automerge.damaged-20260102-030405").write_bytes(b"")
    if named is not None:
        (tmp_path / ROOT).write_bytes(root_of(named))
    loaded = read(tmp_path)
    assert loaded.epoch == content(loaded)["epoch"] == expected
    assert number_of(loaded.root) == (named or 0)
    assert epoch_numbers(tmp_path) == {1, 2, 3}
    assert epoch_numbers(tmp_path, damaged=True) == {1, 2, 3, 9}


def test_a_damaged_epoch_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, 1, Growing(1).snapshot, b"")
    write(tmp_path, 2, Growing(2).snapshot[:-1], DIARY.log)
    (tmp_path / ROOT).write_bytes(root_of(2))
    before = sorted(tmp_path.iterdir())
    assert read(tmp_path).epoch == 1
    snapshot_path(tmp_path, 1).write_bytes(b"")
    loaded = read(tmp_path)
    assert (loaded.epoch, loaded.document) == (0, None)
    assert number_of(loaded.root) == 2
    (tmp_path / ROOT).write_bytes(root_of(2)[:-1])
    assert read(tmp_path) == Loaded()
    assert sorted(tmp_path.iterdir()) == before, "nothing is changed"


@pytest.mark.parametrize("epoch", [None, "1", 1.5], ids=str)
def test_a_root_that_names_no_epoch(epoch: Any) -> None:
    root = Document()
    with root.write() as writer:
        writer.put(ROOT_OBJECT, "epoch", epoch)
    assert number_of(root) == 0
    assert number_of(Document()) == 0


def test_an_epoch_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1, Growing(1).snapshot, grown().log)
    (tmp_path / ROOT).write_bytes(root_of(1))
    read_bytes = Path.read_bytes

    def read_slowly(path: Path) -> bytes:
        if path == log_path(tmp_path, 1) and not snapshot_path(tmp_path, 2).exists():
            write(tmp_path, 2, Growing(2).snapshot, b"")
            (tmp_path / ROOT).write_bytes(root_of(2))
            snapshot_path(tmp_path, 1).unlink()
            path.unlink()
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", read_slowly)
    loaded = read(tmp_path)
    assert (loaded.epoch, number_of(loaded.root), content(loaded)["epoch"]) == (2, 2, 2)
