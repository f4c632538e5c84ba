"""Files that are there as a whole, or as they were before."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.errors import DiskFull, StoreError
from proxy.record import disk
from tests.record.full_disk import full_disk


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.replace(path, [b"one", memoryview(b"two")])
    assert path.read_bytes() == b"onetwo"
    disk.replace(path, [])
    assert path.read_bytes() == b""
    assert names(tmp_path) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    disk.replace(path, [b"before"])
    refused = pytest.raises(StoreError, match="cannot store it: File too")
    with full_disk(after=100_000), refused, disk.storing("store it"):
        disk.replace(path, [bytes(60_000), bytes(60_000)])
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


def test_a_place_where_it_cannot_be_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        disk.replace(tmp_path / "directory", [b"1"])
    assert names(tmp_path) == ["directory"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_who_has_no_room_is_told_to_make_some(code: int) -> None:
    told = pytest.raises(DiskFull, match=r"^cannot write /a: .*; free some space there$")
    with told, disk.storing("write /a"):
        raise OSError(code, os.strerror(code))


def test_other_troubles_name_the_setting() -> None:
    told = pytest.raises(StoreError, match=r"^cannot write /a: Read-only .*; see KMUX_DATA_DIR$")
    with told, disk.storing("write /a"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_directories_are_for_nobody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert disk.make_directory(tmp_path / "a" / "b") == [tmp_path, tmp_path / "a"]
    assert disk.make_directory(tmp_path / "a" / "b") == [], "no name is new"
    for path, mode in ((tmp_path, 0o755), (tmp_path / "a", 0o700), (tmp_path / "a/b", 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_filesystem_that_cannot_sync_directories_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(code: int) -> None:
        def fsync(descriptor: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", fsync)

    refuse(errno.EINVAL)
    disk.sync_directory(tmp_path)
    refuse(errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        disk.sync_directory(tmp_path)


def test_what_was_not_finished_is_removed_and_nothing_else(tmp_path: Path) -> None:
    disk.write_aside(tmp_path / "file", [b"1"])
    (tmp_path / "file.tmp-1").write_text("mine")
    assert len(names(tmp_path)) == 2
    disk.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["file.tmp-1"]


def test_what_is_set_aside_takes_no_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    monkeypatch.setattr(disk, "datetime", Noon)
    path, elsewhere = tmp_path / "a.log", tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept = []
    with capture_logs() as logs:
        for content in (b"1", b"2", b"3"):
            path.write_bytes(content)
            kept.append(disk.set_aside(path, "it is odd"))
        path.write_bytes(b"4")
        kept += [disk.keep_copy(path, b"4", "it is odd"), disk.set_aside(path, "", to=elsewhere)]
    assert not path.exists()
    assert [file.relative_to(tmp_path).as_posix() for file in kept] == [
        "a.log.damaged-20260102-030405",
        "a.log.damaged-20260102-030405-2",
        "a.log.damaged-20260102-030405-3",
        "a.log.damaged-20260102-030405-4",
        "elsewhere/a.log.damaged-20260102-030405",
    ]
    assert [file.read_bytes() for file in kept] == [b"1", b"2", b"3", b"4", b"4"]
    assert {entry["event"] for entry in logs} == {"record.damaged"}
    assert [entry["kept"] for entry in logs] == [str(file) for file in kept]
    assert logs[0]["reason"] == "it is odd"
