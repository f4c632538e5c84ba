"""Frames to messages and back: nothing is changed on the way, and nothing wrong gets through."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jupyter_client.session import Session

from proxy.errors import ClientProtocolError, KernelProtocolError, ProtocolError
from proxy.message import Part
from proxy.wire.signing import signer
from proxy.wire.zmq_frames import (
    DELIMITER,
    MAX_BUFFERS,
    MAX_HEADER_BYTES,
    MAX_ROUTING_BYTES,
    MAX_ROUTING_FRAMES,
    decode,
    encode,
)
from tests.strategies import (
    blobs,
    frames_of,
    junk_frames,
    keys,
    routings,
    signed_parts,
)

KEY = signer(b"the key")
OTHER_KEY = signer(b"another key")
UNSIGNED = signer(b"")

HEADER = json.dumps({"msg_id": "1", "msg_type": "execute_request", "session": "a"}).encode()
PARTS: tuple[bytes, bytes, bytes, bytes] = (HEADER, b"{}", b"{}", b'{"code": "1"}')

Parts = tuple[bytes, bytes, bytes, bytes]


def joined(frames: list[Part]) -> list[bytes]:
    return [bytes(frame) for frame in frames]


# What passes


@given(key=keys, routing=routings, parts=signed_parts, buffers=st.lists(blobs, max_size=4))
def test_an_untouched_message_leaves_byte_identical(
    key: bytes, routing: tuple[bytes, ...], parts: Parts, buffers: list[Part]
) -> None:
    frames = frames_of(signer(key), routing, parts, buffers)
    prefix, message = decode(frames, signer(key), ClientProtocolError)
    assert prefix == routing
    assert joined(encode(prefix, message, signer(key))) == joined(frames)


@given(routing=routings, parts=signed_parts, buffers=st.lists(blobs, max_size=4))
def test_a_hop_with_another_key_changes_the_signature_alone(
    routing: tuple[bytes, ...], parts: Parts, buffers: list[Part]
) -> None:
    frames = frames_of(KEY, routing, parts, buffers)
    _, message = decode(frames, KEY, ClientProtocolError)
    sent = encode(routing, message, OTHER_KEY)
    at = len(routing) + 1
    assert joined(sent[:at] + sent[at + 1 :]) == joined(frames[:at] + frames[at + 1 :])
    assert sent[at] == OTHER_KEY.sign(*parts)
    again = decode(sent, OTHER_KEY, KernelProtocolError)[1]
    assert joined(encode(routing, again, KEY)) == joined(frames), "and back"


@given(parts=signed_parts)
def test_headers_are_decoded_as_json_says(parts: Parts) -> None:
    _, message = decode(frames_of(KEY, (), parts, []), KEY, ClientProtocolError)
    header: dict[str, Any] = json.loads(parts[0])
    assert message.msg_id == header["msg_id"]
    assert message.msg_type == header["msg_type"]
    assert message.header.session == header.get("session")
    assert message.header.subshell_id == header.get("subshell_id")
    parent = json.loads(parts[1] or b"null") or None
    assert (message.parent.msg_id if message.parent else None) == (parent and parent["msg_id"])


def test_the_signature_is_made_again_only_for_another_key() -> None:
    frames = frames_of(KEY, (), PARTS, [])
    _, message = decode(frames, signer(b"the key"), ClientProtocolError)
    assert encode((), message, KEY)[1] is message.signature
    assert encode((), message, OTHER_KEY)[1] != message.signature


def test_a_message_of_our_own_is_signed() -> None:
    _, unsigned = decode(frames_of(UNSIGNED, (), PARTS, []), UNSIGNED, ClientProtocolError)
    assert encode((), unsigned, KEY)[1] == KEY.sign(*PARTS)
    _, signed = decode(frames_of(KEY, (), PARTS, []), KEY, ClientProtocolError)
    assert encode((), signed, UNSIGNED)[1] == b""


def test_large_frames_are_handed_on_and_not_copied() -> None:
    content, buffer = memoryview(b'"' + b"x" * 100_000 + b'"'), memoryview(b"\x00" * 100_000)
    parts = (HEADER, b"{}", b"{}", content)
    frames = [DELIMITER, KEY.sign(*parts), *parts, buffer]
    _, message = decode(frames, KEY, ClientProtocolError)
    sent = encode((), message, OTHER_KEY)
    assert sent[5] is content
    assert sent[6] is buffer


def test_the_topic_is_the_first_frame_of_what_the_kernel_publishes() -> None:
    frames = frames_of(KEY, (b"kernel.1.status",), PARTS, [])
    assert decode(frames, KEY, KernelProtocolError)[1].topic == b"kernel.1.status"
    assert decode(frames_of(KEY, (), PARTS, []), KEY, KernelProtocolError)[1].topic == b""


@pytest.mark.parametrize("raw", [b"{}", b"null", b"", b"[]", b"7", b'{"x": 1}', b'{"msg_id": 7}'])
def test_what_is_no_parent_is_none_and_stays_as_it_is(raw: bytes) -> None:
    """xeus-python sends null; an object that is not a header makes nobody a child."""
    frames = frames_of(KEY, (), (HEADER, raw, b"null", b"{}"), [])
    _, message = decode(frames, KEY, KernelProtocolError)
    assert message.parent is None
    assert message.parent_origin is None
    assert joined(encode((), message, KEY)) == joined(frames)


@pytest.mark.parametrize(("given", "read"), [(None, None), ("", ""), ("a", "a")])
def test_a_session_may_be_null_or_empty(given: str | None, read: str | None) -> None:
    header = json.dumps({"msg_id": "1", "msg_type": "status", "session": given}).encode()
    _, message = decode(frames_of(KEY, (), (header, *PARTS[1:]), []), KEY, KernelProtocolError)
    assert message.header.session == read


# With jupyter_client's own Session at the other end


def test_messages_of_jupyter_client_are_understood_and_sent_on_to_it() -> None:
    frontend = Session(key=b"the key", session="frontend")
    kernel = Session(key=b"another key")
    asked = frontend.msg("execute_request", {"code": "π = 3"}, metadata={"cellId": "c"})
    asked["buffers"] = [b"\x00\xff", b""]
    raw = frontend.serialize(asked, ident=[b"a", b"b"])
    frames = [*raw, *asked["buffers"]]
    routing, message = decode(frames, KEY, ClientProtocolError)
    assert (routing, message.msg_id) == ((b"a", b"b"), asked["header"]["msg_id"])
    idents, rest = kernel.feed_identities(encode(routing, message, OTHER_KEY), copy=True)
    got = kernel.deserialize(rest, content=True, copy=True)
    assert idents == [b"a", b"b"]
    assert (got["content"], got["metadata"]) == ({"code": "π = 3"}, {"cellId": "c"})
    assert [bytes(b) for b in got["buffers"]] == [b"\x00\xff", b""]
    assert got["header"]["msg_id"] == asked["header"]["msg_id"]


@given(content=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4))
def test_whatever_it_serialises_comes_back_the_same(content: dict[str, str]) -> None:
    theirs = Session(key=b"the key")
    frames = theirs.serialize(theirs.msg("comm_msg", content))
    _, message = decode(frames, KEY, ClientProtocolError)
    assert message.content() == content
    got = theirs.deserialize(joined(encode((), message, KEY))[1:])
    assert got["content"] == content


# What does not pass

WRONG: dict[str, list[Part]] = {
    "nothing": [],
    "no delimiter": [b"a", b"b", b"c", b"d", b"e", b"f", b"g"],
    "delimiter alone": [DELIMITER],
    "too few frames": frames_of(KEY, (b"a",), PARTS, [])[:-1],
    "delimiter too far": frames_of(KEY, (b"a",) * (MAX_ROUTING_FRAMES + 1), PARTS, []),
    "too much routing": frames_of(KEY, (b"a" * (MAX_ROUTING_BYTES + 1),), PARTS, []),
    "wrong key": frames_of(OTHER_KEY, (), PARTS, []),
    "unsigned": frames_of(UNSIGNED, (), PARTS, []),
    "signature of another": [DELIMITER, KEY.sign(*PARTS), *PARTS[:3], b'{"code": "2"}'],
    "huge signature": [DELIMITER, b"0" * 100_000, *PARTS],
    "huge header": frames_of(KEY, (), (b" " * MAX_HEADER_BYTES + HEADER, *PARTS[1:]), []),
    "huge parent": frames_of(KEY, (), (HEADER, b" " * MAX_HEADER_BYTES + HEADER, b"", b""), []),
    "too many buffers": frames_of(KEY, (), PARTS, [b""] * (MAX_BUFFERS + 1)),
    "header not JSON": frames_of(KEY, (), (b"\x80\x04K\x01.", *PARTS[1:]), []),
    "header cut off": frames_of(KEY, (), (HEADER[:-3], *PARTS[1:]), []),
    "header a list": frames_of(KEY, (), (b"[]", *PARTS[1:]), []),
    "header null": frames_of(KEY, (), (b"null", *PARTS[1:]), []),
    "no msg_id": frames_of(KEY, (), (b'{"msg_type": "a"}', *PARTS[1:]), []),
    "no msg_type": frames_of(KEY, (), (b'{"msg_id": "1"}', *PARTS[1:]), []),
    "msg_id a number": frames_of(KEY, (), (b'{"msg_id": 1, "msg_type": "a"}', *PARTS[1:]), []),
    "parent not JSON": frames_of(KEY, (), (HEADER, b"{", *PARTS[2:]), []),
    "parent not JSON and no object": frames_of(KEY, (), (HEADER, b"[", *PARTS[2:]), []),
    "parent not JSON behind a wrong field": frames_of(
        KEY, (), (HEADER, b'{"msg_id": 1, oops', *PARTS[2:]), []
    ),
}


@pytest.mark.parametrize("blame", [ClientProtocolError, KernelProtocolError])
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_blamed_on_who_sent_it(kind: str, blame: type[ProtocolError]) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(WRONG[kind], KEY, blame)
    assert type(caught.value) is blame
    assert "\n" not in str(caught.value)
    assert str(caught.value)


def test_the_bounds_themselves_are_allowed() -> None:
    routing = (b"a" * (MAX_ROUTING_BYTES // MAX_ROUTING_FRAMES),) * MAX_ROUTING_FRAMES
    padded = HEADER + b" " * (MAX_HEADER_BYTES - len(HEADER))
    parts = (padded, padded, b"{}", b"{}")
    frames = frames_of(KEY, routing, parts, [b""] * MAX_BUFFERS)
    prefix, message = decode(frames, KEY, ClientProtocolError)
    assert prefix == routing
    assert len(message.buffers) == MAX_BUFFERS


def test_the_key_or_the_content_is_in_no_error() -> None:
    """Errors go to the log."""
    secret = b'{"code": "password = 1234"}'
    frames = [DELIMITER, b"0" * 64, HEADER, b"{}", b"{}", secret]
    with pytest.raises(ClientProtocolError) as caught:
        decode(frames, KEY, ClientProtocolError)
    assert "password" not in str(caught.value)
    assert "the key" not in str(caught.value)


@given(frames=junk_frames(KEY))
@example(frames=frames_of(KEY, (), (b'{"msg_id": "\xff", "msg_type": "a"}', *PARTS[1:]), []))
@example(
    frames=frames_of(KEY, (), (b'{"msg_id": "\xed\xa0\x80", "msg_type": "a"}', *PARTS[1:]), [])
)
@example(frames=frames_of(KEY, (), (HEADER[:-1] + b', "x": ' + b"[" * 2000, *PARTS[1:]), []))
@example(frames=frames_of(KEY, (), (HEADER, b'{"msg_id": "\xff", "msg_type": "a"}', b"", b""), []))
@example(frames=frames_of(KEY, (), (HEADER, b"[" * 2000, b"", b""), []))
def test_garbage_raises_nothing_but_the_blame(frames: list[Part]) -> None:
    """Also from somebody who has the key: an unsigned kernel, a kernel with a bug."""
    for checked_by in (KEY, UNSIGNED):
        try:
            decode(frames, checked_by, KernelProtocolError)
        except ProtocolError as error:
            assert type(error) is KernelProtocolError
