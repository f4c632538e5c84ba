"""Automerge's sync messages: what is taken of a peer's, and what Automerge takes of ours."""

from __future__ import annotations

import pytest
from automerge import core
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientProtocolError
from proxy.record.document import ROOT, Document
from proxy.record.sync_messages import MAX_HASHES, SyncMessage, decode, encode

hashes = st.binary(min_size=32, max_size=32)


def written(count: int = 3) -> Document:
    document = Document()
    for number in range(count):
        with document.write() as writer:
            writer.put(ROOT, "n", number)
    return document


def with_a_change() -> core.Document:
    document = core.Document()
    with document.transaction() as transaction:
        transaction.put(core.ROOT, "mine", core.ScalarType.Int, 1)
    return document


def said_by(document: core.Document, state: core.SyncState) -> SyncMessage:
    message = document.generate_sync_message(state)
    assert message is not None
    return decode(message.encode())


def test_a_peer_that_has_nothing_says_so() -> None:
    assert said_by(core.Document(), core.SyncState()) == SyncMessage((), (), (), True)


def test_a_peer_says_where_it_is() -> None:
    document = with_a_change()
    said = said_by(document, core.SyncState())
    assert said.heads == tuple(document.get_heads())
    assert said.last_sync == ()


def test_a_peer_with_changes_that_we_do_not_have_says_when_it_last_heard_from_us() -> None:
    ours, theirs, state = written(), core.Document(), core.SyncState()
    message = core.Message.decode(encode(ours.heads, [ours.save()], in_pieces=True))
    theirs.receive_sync_message(state, message)
    assert theirs.get_heads() == ours.heads
    with theirs.transaction() as transaction:
        transaction.put(core.ROOT, "mine", core.ScalarType.Int, 1)
    said = said_by(theirs, state)
    assert said.heads != tuple(ours.heads)
    assert said.last_sync == tuple(ours.heads)


@pytest.mark.parametrize("in_pieces", [True, False])
def test_a_peer_takes_our_changes_and_never_sends_its_own(in_pieces: bool) -> None:
    ours, theirs, state = written(), with_a_change(), core.SyncState()
    said_by(theirs, state)
    changes = [change.data for change in ours.changes_after([])]
    message = encode(ours.heads, changes, in_pieces=in_pieces)
    theirs.receive_sync_message(state, core.Message.decode(message))
    assert set(ours.heads) < set(theirs.get_heads())
    answer = theirs.generate_sync_message(state)
    assert answer is not None
    held = with_a_change()
    before = held.get_heads()
    held.receive_sync_message(core.SyncState(), answer)
    assert held.get_heads() == before, "there was a change in it"


def test_a_whole_document_and_what_came_after_it_is_one_piece() -> None:
    ours = written()
    whole, heads = ours.save(), ours.heads
    with ours.write() as writer:
        writer.put(ROOT, "later", "x" * 5000)
    changes = [whole, *[change.data for change in ours.changes_after(heads)]]
    theirs = core.Document()
    message = encode(ours.heads, changes, in_pieces=True)
    theirs.receive_sync_message(core.SyncState(), core.Message.decode(message))
    assert theirs.get_heads() == ours.heads


def test_a_bloom_filter_that_would_hold_automerge_for_minutes_is_passed_over() -> None:
    """One entry of 8 bits, and 2³² - 1 probes: 0.2.0.dev4 looks at each."""
    bloom = b"\x01\x08\xff\xff\xff\xff\x0f\x00"
    message = b"\x42" + b"\0" + b"\0" + b"\x01" + b"\0" + bytes([len(bloom)]) + bloom + b"\0"
    assert decode(message) == SyncMessage((), (), (), False)


@given(
    heads=st.lists(hashes, max_size=3),
    need=st.lists(hashes, max_size=3),
    have=st.lists(st.tuples(st.lists(hashes, max_size=2), st.binary(max_size=300)), max_size=2),
    changes=st.lists(st.binary(max_size=300), max_size=3),
    flags=st.none() | st.binary(max_size=3),
)
def test_what_is_in_a_message_is_found(
    heads: list[bytes],
    need: list[bytes],
    have: list[tuple[list[bytes], bytes]],
    changes: list[bytes],
    flags: bytes | None,
) -> None:
    message = b"\x43" + named(heads) + named(need) + leb128(len(have))
    for last_sync, bloom in have:
        message += named(last_sync) + prefixed(bloom)
    message += leb128(len(changes)) + b"".join(map(prefixed, changes))
    if flags is not None:
        message += prefixed(flags)
    assert decode(message) == SyncMessage(
        heads=tuple(heads),
        need=tuple(need),
        last_sync=tuple(head for last_sync, _ in have for head in last_sync),
        reads_pieces=2 in (flags or b""),
    )


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"\x42" + rest))
def test_garbage_raises_nothing_else(data: bytes) -> None:
    try:
        decode(data)
    except ClientProtocolError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x41\0\0\0\0", id="another type"),
        pytest.param(b"\x42\x01" + b"x" * 31, id="half a hash"),
        pytest.param(b"\x42\0\0\0", id="cut off"),
        pytest.param(b"\x42\xff\xff\xff\xff\xff\x01", id="a number of 42 bits"),
        pytest.param(b"\x42\xff\xff\xff\xff\x0f", id="more heads than there are bytes"),
        pytest.param(b"\x42\x91\x4e" + bytes(32 * (MAX_HASHES + 1)), id="too many heads"),
        pytest.param(b"\x42\0\0\xff\x01" + bytes(1000), id="too many filters"),
        pytest.param(b"\x42\0\0\0\x01\x05abc", id="half a change"),
    ],
)
def test_what_is_cut_off_or_too_much_is_refused(data: bytes) -> None:
    with pytest.raises(ClientProtocolError):
        decode(data)


def test_a_million_empty_changes_are_not_looked_at() -> None:
    assert decode(b"\x42\0\0\0" + leb128(1_000_000) + bytes(1_000_000)).heads == ()


def leb128(value: int) -> bytes:
    encoded = b""
    while True:
        encoded += bytes([value & 0x7F | (0x80 if value > 0x7F else 0)])
        value >>= 7
        if not value:
            return encoded


def prefixed(data: bytes) -> bytes:
    return leb128(len(data)) + data


def named(names: list[bytes]) -> bytes:
    return leb128(len(names)) + b"".join(names)
