"""How much the records take, and what of them was set aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.doctor.records import check
from proxy.doctor.surroundings import Surroundings
from proxy.record import disk
from tests.doctor.machine import Machine, bad, only


@pytest.fixture
def records(machine: Machine) -> Path:
    path = machine.data / "records"
    for name in ("work", "work~1"):
        blobs = path / name / "blobs" / "ab"
        blobs.mkdir(parents=True)
        (path / name / "root.automerge").write_bytes(b"x" * 500)
        (blobs / "ab12.text%2Fplain").write_bytes(b"x" * 1000)
        os.link(blobs / "ab12.text%2Fplain", blobs / "ab12.text%2Fhtml")
    return path


def test_without_any(machine: Machine) -> None:
    (found,) = check(Surroundings())
    assert (found.level, found.what) == ("ok", "none")


def test_how_much_they_take(records: Path) -> None:
    (found,) = check(Surroundings())
    assert found.what == f"2 records in {records}, 3.0 kB", "a link takes no space"


def test_what_was_set_aside_is_told(records: Path) -> None:
    blob = next((records / "work" / "blobs" / "ab").glob("*plain"))
    kept = disk.set_aside(blob, "damaged", to=records / "work" / "blobs")
    unread = records / "work.unread-1700000000"
    (records / "work~1").rename(unread)
    found = only(check(Surroundings()))
    assert found.level == "warning"
    assert found.what.startswith("4 files of records damaged, and set aside: ")
    assert str(kept) in found.what
    assert found.what.endswith(" and 1 more")
    assert bad(check(Surroundings())) == [found]


def test_one_that_cannot_be_looked_into(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if path == str(records / "work"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may look into everything
    found = only(check(Surroundings()))
    assert found.what == f"cannot look into {records / 'work'}"
