"""Values on their way to the disk, and when it is full."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import StoreError
from proxy.record import storing
from proxy.record.blobs import BlobStore
from proxy.record.storing import Storing
from proxy.record.values import Large, media_value
from tests.record import facts as f
from tests.record.test_recorder import a_cell, recording


def full(*args: Any) -> None:
    raise StoreError("cannot write: no space left on device")


def large(data: bytes) -> Large:
    return Large("text/plain", "utf-8", len(data), data)


def test_what_is_stored_has_a_name_and_no_bytes_in_memory(tmp_path: Path) -> None:
    kept = Storing(BlobStore(tmp_path), pytest.fail)
    picture = media_value("image/png", b'"%s"' % base64.b64encode(bytes(300_000)))
    assert isinstance(picture, Large)
    values = [large(b"a"), picture]
    kept.store(values)
    assert [value.part for value in values] == [None, None]
    assert (kept.fetch(values[0]), kept.fetch(picture)) == (b"a", bytes(300_000))
    assert kept.tail(picture, 10) == bytes(10)
    assert picture.blob.encoding == "base64"
    assert kept.homeless == {}


def test_what_the_disk_does_not_take_is_there_and_goes_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, said = BlobStore(tmp_path), list[StoreError]()
    kept = Storing(blobs, said.append)
    one, same = large(b"a"), large(b"a")
    with monkeypatch.context() as refusing:
        refusing.setattr(blobs, "put", full)
        kept.store([one, same])
    assert len(said) == 2
    assert (kept.fetch(one), kept.fetch(same)) == (b"a", b"a")
    assert kept.tail(one, 10) == b"a"
    assert (one.part, same.part) == (b"a", None)
    kept.store(list(kept.homeless.values()))
    assert kept.homeless == {}
    assert (kept.fetch(one), kept.fetch(same)) == (b"a", b"a")


async def test_what_no_disk_takes_is_kept_once_and_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "MAX_HOMELESS_BYTES", 1_000_000)
    async with recording(tmp_path / "r") as recorder:
        recorder.take(a_cell())
        await recorder.flush()
        with monkeypatch.context() as refusing:
            refusing.setattr(recorder._files.blobs, "put", full)
            for letter in "aaabbbcccddd":
                recorder.take([f.shows({"text/plain": letter * 300_000}, "a")])
                await recorder.flush()
        values = recorder._all_values()
        assert sum(v.part is not None for v in values) == 3, "of four, in twelve places"
        for value, letter in zip(values[3:], "bbbcccddd", strict=True):
            assert recorder.fetch(value) == letter.encode() * 300_000
        with pytest.raises(StoreError):
            recorder.fetch(values[0])
        recorder._broken_at = 0.0  # RETRY_SECONDS ago
        recorder.take(a_cell("b"))
        await recorder.flush()
        assert recorder.record.not_durable_since is None
        assert recorder.blobs.count == 3
        assert not any(value.part for value in values)
