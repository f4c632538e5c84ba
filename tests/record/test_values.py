"""Values: what stands in the document, what is a blob, and that nothing of it is changed."""

from __future__ import annotations

import base64
import json
import random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.record import values
from proxy.record.values import (
    INLINE_BYTES,
    PIECE_BYTES,
    Blob,
    Json,
    Large,
    is_binary,
    json_value,
    media_value,
    restored,
    text_value,
)
from tests.strategies import json_values

LIMIT = 40
BINARY = ("image/png", "audio/ogg", "video/mp4", "application/pdf", "application/octet-stream")
TEXTUAL = ("text/plain", "text/html", "image/svg+xml", "application/json", "application/x")

limits = st.sampled_from([1, LIMIT, INLINE_BYTES])
texts = st.text(max_size=100) | st.text(alphabet='aé日🎉\n"\\', max_size=60)
base64_texts = st.builds(
    lambda data, end: base64.b64encode(data).decode() + end,
    st.binary(max_size=100),
    st.sampled_from(["", "\n", "\n\n", "=", "A"]),
)


def as_raw(value: Any, *, ascii_only: bool = True) -> msgspec.Raw:
    """A value as msgspec hands it on: a part of a message's JSON."""
    content = json.dumps({"v": value}, ensure_ascii=ascii_only).encode()
    return msgspec.json.decode(content, type=dict[str, msgspec.Raw])["v"]


def stored(value: Large) -> tuple[bytes, Blob]:
    """What is in the blob store, and what the document says of it."""
    value.unpack()
    assert isinstance(value.part, bytes | memoryview)
    data = bytes(value.part)
    assert value.size == len(data)
    value.sha256 = "0" * 64
    return data, value.blob


def read_back(value: Any) -> Any:
    """A value as who reads the document has it, as JSON."""
    if isinstance(value, Large):
        data, blob = stored(value)
        value = restored(data, blob.encoding)
    return json.loads(value.text) if isinstance(value, Json) else value


@given(texts, limits)
def test_a_text_is_itself_short_or_long(text: str, limit: int) -> None:
    value = text_value(text, limit)
    assert read_back(value) == text
    assert isinstance(value, Large) == (len(text.encode()) >= limit)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb" * LIMIT])
def test_half_a_character_is_no_text_and_hurts_nobody(text: str) -> None:
    value = text_value(text, LIMIT)
    assert value is text or read_back(value) == "a?b" * LIMIT


@given(json_values, limits)
def test_json_is_itself_short_or_long(content: Any, limit: int) -> None:
    raw = json.dumps(content).encode()
    for one in (raw, as_raw(content), memoryview(raw)):
        value = json_value(one, limit)
        assert read_back(value) == content
        assert isinstance(value, Large) == (len(one) >= limit)


@given(json_values | texts | base64_texts, st.sampled_from(BINARY + TEXTUAL), limits, st.booleans())
@example("AAA=", "image/png", 1, True)
@example("AAB=", "image/png", 1, True)  # bits that stand for nothing
@example("====", "image/png", 1, True)
@example("AA==AAAA", "image/png", 1, True)
@example("", "image/png", LIMIT, True)
@example("AAAA\r\n", "image/png", LIMIT, True)
def test_an_entry_of_a_bundle_is_itself(
    content: Any, media_type: str, limit: int, ascii_only: bool
) -> None:
    value = media_value(media_type, as_raw(content, ascii_only=ascii_only), limit)
    assert read_back(value) == content


@given(base64_texts, limits, st.sampled_from([4, 8, 64]))
@example("AA==" + "AAAA" * 10, 1, 4)
@example("AAAA" * 10 + "AAB=", 1, 8)
def test_what_is_large_is_looked_at_later_and_in_pieces(text: str, limit: int, piece: int) -> None:
    with patch.object(values, "PIECE_BYTES", piece):
        value = media_value("image/png", as_raw(text), limit)
        if len(text) + 2 >= max(limit, piece):
            assert isinstance(value, Large)
            assert value.is_packed
        assert read_back(value) == text


@given(st.binary(max_size=200), st.sampled_from(["", "\n"]), st.sampled_from(BINARY))
def test_a_picture_is_its_bytes_however_small(data: bytes, end: str, media_type: str) -> None:
    value = media_value(media_type, as_raw(base64.b64encode(data).decode() + end), INLINE_BYTES)
    assert isinstance(value, Large)
    found, blob = stored(value)
    assert found == data
    assert blob == Blob(
        blob="0" * 64,
        size=len(data),
        media_type=media_type,
        encoding="base64+newline" if end else "base64",
    )


@pytest.mark.parametrize("size", [PIECE_BYTES, 3 * PIECE_BYTES + 1, 3 * PIECE_BYTES + 2])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_large_picture_is_its_bytes(size: int, end: str) -> None:
    data = random.Random(size).randbytes(size)
    value = media_value("image/png", as_raw(base64.b64encode(data).decode() + end))
    assert isinstance(value, Large)
    assert value.is_packed
    found, blob = stored(value)
    assert found == data
    assert blob.encoding == ("base64+newline" if end else "base64")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("no base64! " * PIECE_BYTES, "utf-8"),
        ("AAAA" * PIECE_BYTES + "é", "utf-8"),
        (["AAAA"] * PIECE_BYTES, "json"),
        (10**PIECE_BYTES, "json"),
    ],
    ids=["text", "text that begins like one", "a list", "a number of digits like base64"],
)
def test_a_large_picture_that_is_none_is_what_it_is(content: Any, encoding: str) -> None:
    if isinstance(content, int):
        raw: Any = b"1" + b"0" * PIECE_BYTES
        value = media_value("image/png", raw)
        assert stored(value)[0] == raw  # type: ignore[arg-type]
    else:
        value = media_value("image/png", as_raw(content))
        assert read_back(value) == content
    assert isinstance(value, Large)
    assert value.encoding == encoding


def test_which_types_are_binary() -> None:
    assert all(map(is_binary, BINARY))
    assert not any(map(is_binary, (*TEXTUAL, "", "x/image")))


def test_what_is_stored_already_is_known_by_its_name() -> None:
    blob = Blob(blob="ab" * 32, size=3, media_type="image/png", encoding="base64")
    large = Large.of(blob)
    assert large.blob == blob
    large.unpack()
    assert large.part is None


def test_binary_data_is_no_value_of_json() -> None:
    with pytest.raises(ValueError, match="binary"):
        restored(b"", "binary")
