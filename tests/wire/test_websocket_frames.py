"""Payloads of WebSockets to messages and back, beside jupyter_server's own functions for it."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)

from proxy.errors import ClientProtocolError
from proxy.message import Channel, Message, Part
from proxy.wire.signing import signer
from proxy.wire.websocket_frames import (
    decode_legacy,
    decode_v1,
    encode_legacy,
    encode_v1,
)
from proxy.wire.zmq_frames import MAX_BUFFERS, MAX_HEADER_BYTES, decode
from tests.strategies import blobs, frames_of, raw_headers, raw_objects, raw_parents, signed_parts

KEY = signer(b"")
SENT = st.sampled_from([Channel.SHELL, Channel.CONTROL, Channel.STDIN])
HEADER = b'{"msg_id": "1", "msg_type": "execute_request"}'
PARTS = (HEADER, b"{}", b"{}", b"{}")


def message_of(parts: tuple[bytes, bytes, bytes, bytes], *buffers: Part) -> Message:
    return decode(frames_of(KEY, (), parts, list(buffers)), KEY, ClientProtocolError)[1]


def raw_of(message: Message) -> list[bytes]:
    raw = (message.raw_header, message.raw_parent, message.raw_metadata, message.raw_content)
    return [bytes(part) for part in (*raw, *message.buffers)]


# v1


@given(channel=st.sampled_from(Channel), parts=signed_parts, buffers=st.lists(blobs, max_size=4))
def test_a_binary_message_is_what_jupyter_server_makes(
    channel: Channel, parts: tuple[bytes, bytes, bytes, bytes], buffers: list[Part]
) -> None:
    message = message_of(parts, *buffers)
    payload = encode_v1(channel, message)
    assert payload == serialize_msg_to_ws_v1(raw_of(message), str(channel))
    assert deserialize_msg_from_ws_v1(payload) == (str(channel), raw_of(message))


@given(channel=SENT, parts=signed_parts, buffers=st.lists(blobs, max_size=4))
def test_what_jupyter_server_makes_is_read_byte_for_byte(
    channel: Channel, parts: tuple[bytes, bytes, bytes, bytes], buffers: list[Part]
) -> None:
    sent = [*parts, *map(bytes, buffers)]
    found, message = decode_v1(serialize_msg_to_ws_v1(sent, str(channel)))
    assert (found, raw_of(message)) == (channel, sent)
    assert message.header == message_of(parts).header


def v1(*parts: bytes, channel: bytes = b"shell") -> bytes:
    payload: bytes = serialize_msg_to_ws_v1(list(parts), channel.decode())
    return payload


BROKEN = {
    "nothing": b"",
    "less than a number": b"\x01\x02",
    "no offsets": bytes(8),
    "too few parts": v1(HEADER, b"{}", b"{}"),
    "too many buffers": v1(*PARTS, *[b""] * (MAX_BUFFERS + 1)),
    "many offsets, and none of them": struct.pack("<Q", 2**63),
    "it ends among its offsets": v1(*PARTS)[:40],
    "it ends in the middle": v1(*PARTS)[:-3],
    "offsets lead back": struct.pack("<7Q", 6, 56, 61, 60, 62, 64, 66) + b"shell" + b"".join(PARTS),
    "offsets lead into the offsets": struct.pack("<7Q", 6, 8, 9, 10, 11, 12, 13) + bytes(20),
    "no such channel": v1(*PARTS, channel=b"cheese"),
    "the kernel's own channel": v1(*PARTS, channel=b"iopub"),
    "the heartbeat": v1(*PARTS, channel=b"hb"),
    "a header that is no JSON": v1(b"{", b"{}", b"{}", b"{}"),
    "a header without an id": v1(b"{}", b"{}", b"{}", b"{}"),
    "a header that is huge": v1(b" " * MAX_HEADER_BYTES + HEADER, b"{}", b"{}", b"{}"),
    "a parent that is no JSON": v1(HEADER, b"[", b"{}", b"{}"),
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN.keys())
def test_a_binary_message_that_is_none_is_refused_in_one_line(payload: bytes) -> None:
    with pytest.raises(ClientProtocolError) as refused:
        decode_v1(payload)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: v1(*PARTS)[:60] + tail))
def test_whatever_comes_is_a_message_or_refused(payload: bytes) -> None:
    try:
        decode_v1(payload)
    except ClientProtocolError:
        pass


# The legacy form


@given(channel=SENT, header=raw_headers, parent=raw_parents, objects=st.tuples(*[raw_objects] * 2))
def test_a_text_message_says_the_same(
    channel: Channel, header: bytes, parent: bytes, objects: tuple[bytes, bytes]
) -> None:
    message = message_of((header, parent, *objects), b"left out")
    said = json.loads(encode_legacy(channel, message))
    assert said == {
        "channel": str(channel),
        "msg_id": message.msg_id,
        "msg_type": message.msg_type,
        "header": json.loads(header),
        "parent_header": json.loads(parent or b"{}") or {},
        "metadata": json.loads(objects[0]),
        "content": json.loads(objects[1]),
        "buffers": [],
    }
    found, read = decode_legacy(encode_legacy(channel, message))
    assert (found, read.header, read.parent) == (channel, message.header, message.parent)
    assert read.content() == message.content()
    assert not read.buffers


def test_what_a_kernel_puts_out_is_utf_8_for_a_browser() -> None:
    """A text frame that is none ends the connection (RFC 6455, 8.1)."""
    message = message_of((HEADER, b"{}", b"{}", b'{"text": "\xff\xfe"}'))
    said = json.loads(encode_legacy(Channel.SHELL, message))
    assert said["content"] == {"text": "\ufffd\ufffd"}


def test_a_text_message_without_a_channel_is_for_shell() -> None:
    channel, message = decode_legacy(b'{"header": %s, "content": {"code": "1"}}' % HEADER)
    assert channel is Channel.SHELL
    assert message.content() == {"code": "1"}
    assert message.parent is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"header": {}}',
        '{"header": {"msg_id": 1, "msg_type": "x"}}',
        '{"header": {"msg_id": "1", "msg_type": "x"}, "channel": "iopub"}',
        '{"header": {"msg_id": "1", "msg_type": "x"}, "channel": 7}',
        '{"header": ' + "[" * 100_000,
    ],
)
def test_a_text_message_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ClientProtocolError) as refused:
        decode_legacy(text)
    assert "\n" not in str(refused.value)
