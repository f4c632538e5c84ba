"""A message as kmux holds it: raw, and decoded when somebody asks."""

from __future__ import annotations

import msgspec
import pytest

from proxy.message import Channel, Message
from tests.messages import cell, message, reply


class Code(msgspec.Struct):
    code: str


DECODER = msgspec.json.Decoder(Code)


def with_content(raw: bytes, metadata: bytes = b"{}") -> Message:
    return msgspec.structs.replace(cell(), raw_content=raw, raw_metadata=metadata)


def test_content_and_metadata_are_decoded_on_demand() -> None:
    made = message("x", {"a": [1]}, metadata={"b": None})
    assert (made.content(), made.metadata()) == ({"a": [1]}, {"b": None})


def test_null_metadata_is_empty() -> None:
    """xeus-python."""
    assert with_content(b"{}", b"null").metadata() == {}


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"7", b"{", b"nonsense"])
def test_content_that_is_no_object_is_an_error_where_it_must_be_one(raw: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        with_content(raw).content()


def test_a_typed_view_of_content_is_none_where_it_does_not_fit() -> None:
    assert with_content(b'{"code": "1", "more": 2}').content_as(DECODER) == Code("1")
    for raw in (b"", b"null", b'{"code": 7}', b"{}", b"\xff\xfe"):
        assert with_content(raw).content_as(DECODER) is None


@pytest.mark.parametrize("raw", [b'{"code": "\xff"}', b'{"x": ' + b"[" * 2000])
def test_also_where_the_decoder_trips(raw: bytes) -> None:
    assert with_content(raw).content_as(DECODER) is None


def test_a_message_is_a_parent_by_its_raw_header() -> None:
    asked = cell()
    answer = reply(asked)
    assert (asked.origin.header, asked.origin.raw_header) == (asked.header, asked.raw_header)
    assert answer.parent_origin == asked.origin
    assert asked.parent_origin is None
    assert (asked.msg_id, asked.msg_type) == (asked.header.msg_id, "execute_request")


def test_channels_have_the_names_of_connection_files() -> None:
    assert [str(channel) for channel in Channel] == ["shell", "control", "stdin", "iopub", "hb"]
