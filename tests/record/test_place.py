"""Where a record is served, from one start to the next."""

from __future__ import annotations

from pathlib import Path

from proxy.record.place import FILE, Place, remember, remembered


def test_a_place_is_remembered(tmp_path: Path) -> None:
    first = remembered(tmp_path)
    assert first.port == 0
    assert len(first.token) >= 32
    remember(tmp_path, Place(8000, first.token))
    assert remembered(tmp_path) == Place(8000, first.token)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_another_place(tmp_path: Path) -> None:
    for text in ("", "[]", '{"port": "x"}'):
        (tmp_path / FILE).write_text(text)
        assert remembered(tmp_path).port == 0
    remember(tmp_path / "none", Place(1, ""))  # what cannot be kept is not
