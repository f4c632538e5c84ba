"""Automerge's own files: what of them is whole, wherever they are cut or damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.record.chunks import (
    CHANGE,
    COMPRESSED_CHANGE,
    DOCUMENT,
    MAGIC,
    is_torn,
    whole_chunks,
)
from proxy.record.document import Document
from tests.record.documents import grown, noise

DIARY = grown()
SAVED = DIARY.snapshot + DIARY.log
ENDS = [len(DIARY.snapshot) + end for end in DIARY.ends]


def whole_bytes(data: bytes) -> int:
    return max((chunk.end for chunk in whole_chunks(data)), default=0)


def test_a_snapshot_and_changes_are_one_chunk_each() -> None:
    chunks = list(whole_chunks(SAVED))
    assert [chunk.end for chunk in chunks] == ENDS
    assert {chunk.kind for chunk in chunks[1:]} == {CHANGE, COMPRESSED_CHANGE}, "both are tested"
    assert chunks[0].kind == DOCUMENT


def test_a_change_begins_with_the_hash_by_which_automerge_knows_it() -> None:
    *_, last = whole_chunks(SAVED)
    (head,) = DIARY.document.heads
    assert head.startswith(last.checksum)


def test_lengths_of_more_bytes() -> None:
    diary = grown(0)
    for length in (100, 20_000, 3_000_000):
        diary.grow(noise(length))
    saved = diary.snapshot + diary.log + diary.document.save()
    assert whole_bytes(saved) == len(saved)
    assert is_torn(saved[len(diary.snapshot + diary.log) : -1])


def test_cut_anywhere_what_is_ahead_is_whole_and_the_rest_is_torn() -> None:
    for cut in range(len(SAVED)):
        data = SAVED[:cut]
        whole = whole_bytes(data)
        assert whole == max(end for end in [0, *ENDS] if end <= cut), cut
        assert whole == cut or is_torn(data[whole:]), cut


@given(at=st.integers(0, len(SAVED) - 1), flipped=st.integers(1, 255))
def test_what_is_damaged_is_not_whole_or_makes_no_difference(at: int, flipped: int) -> None:
    """There are bits in compressed changes that mean nothing."""
    data = bytearray(SAVED)
    data[at] ^= flipped
    chunks = list(whole_chunks(bytes(data)))
    if len(chunks) == len(ENDS):
        assert Document.load(bytes(data)).read() == DIARY.states[-1]
        return
    whole = chunks[-1].end if chunks else 0
    assert whole <= at < ENDS[len(chunks)], "it ends ahead of the chunk with the damage"
    is_the_last = len(chunks) == len(ENDS) - 1
    assert is_the_last or not is_torn(bytes(data[whole:])), "there are whole ones behind it"


@pytest.mark.parametrize(
    "rest",
    [
        bytes(4096),
        b"\n",
        MAGIC[:3] + b"\x00",
        MAGIC + b"1234\x01\x01\xff",
        MAGIC + b"1234\x02\x01\xff",
        MAGIC + b"1234\x01" + b"\xff" * 10,
        SAVED[1:],
        SAVED[:-1] + b"\x00",
    ],
    ids=["zeros", "a line", "magic", "checksum", "deflate", "length", "shifted", "at its end"],
)
def test_all_else_is_damage(rest: bytes) -> None:
    rest = rest[whole_bytes(rest) :]
    assert rest
    assert not is_torn(rest)


def test_a_compressed_change_has_nothing_behind_it_and_is_not_cut() -> None:
    """zlib is content with either; the checksum would be right."""
    diary = grown(0)
    change = diary.grow("again and again " * 100)
    assert next(whole_chunks(change)).kind == COMPRESSED_CHANGE
    length = change[9] & 0x7F | change[10] << 7
    assert length == len(change) - 11, "two bytes of length"
    for contents in (change[11:] + b"\x00", change[11:-1]):
        resized = bytes([len(contents) & 0x7F | 0x80, len(contents) >> 7])
        assert list(whole_chunks(change[:9] + resized + contents)) == []


@given(st.binary(max_size=100), st.booleans())
def test_garbage_is_no_chunk(garbage: bytes, with_magic: bool) -> None:
    data = MAGIC + garbage if with_magic else garbage
    assert list(whole_chunks(data)) == []
    is_torn(data)
