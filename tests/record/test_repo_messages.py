"""automerge-repo's messages, as frames."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientProtocolError
from proxy.record import repo_messages
from proxy.record.addresses import DocumentId
from proxy.record.repo_messages import Ephemeral, Join, Leave, Other, Sync, decode

IT = DocumentId("4ZrjxJnU1LA5xSyrWMNuXTozYEvA")

JOIN = {"type": "join", "senderId": "alice", "supportedProtocolVersions": ["1"]}
SYNC = {"type": "sync", "senderId": "alice", "targetId": "kmux", "documentId": IT, "data": b"B"}
EPHEMERAL = {
    "type": "ephemeral",
    "senderId": "alice",
    "targetId": "kmux",
    "sessionId": "s1",
    "count": 7,
    "documentId": IT,
    "data": b"\x01",
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.just(cbor2.undefined)
    | st.datetimes().map(lambda time: cbor2.CBORTag(0, str(time)))
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
names = st.sampled_from(
    ["type", "senderId", "documentId", "data", "sessionId", "count", "supportedProtocolVersions"]
)


def decoded_or_refused(frame: bytes) -> object:
    try:
        return decode(frame)
    except ClientProtocolError as error:
        assert "\n" not in str(error)
        return error


def test_a_join_says_who_and_which_versions() -> None:
    assert decode(cbor2.dumps(JOIN)) == Join("alice", ("1",))
    with_more = JOIN | {"peerMetadata": {"storageId": cbor2.undefined, "isEphemeral": True}}
    assert decode(cbor2.dumps(with_more)) == Join("alice", ("1",))
    assert decode(cbor2.dumps(JOIN | {"supportedProtocolVersions": []})) == Join("alice", ())


@pytest.mark.parametrize("nothing", [None, cbor2.undefined])
def test_a_join_without_versions_means_the_first(nothing: object) -> None:
    join = {"type": "join", "senderId": "alice", "supportedProtocolVersions": nothing}
    assert decode(cbor2.dumps(join)) == Join("alice", ("1",))


def test_a_request_is_a_sync_that_wants_to_know() -> None:
    assert decode(cbor2.dumps(SYNC)) == Sync(IT, b"B", is_request=False)
    assert decode(cbor2.dumps(SYNC | {"type": "request"})) == Sync(IT, b"B", is_request=True)


def test_an_ephemeral_message_goes_on_as_it_came_but_for_whom_it_is_for() -> None:
    message = decode(cbor2.dumps(EPHEMERAL))
    assert message == Ephemeral("alice", "s1", 7, IT, b"\x01")
    assert cbor2.loads(repo_messages.ephemeral(message, "bob")) == EPHEMERAL | {"targetId": "bob"}


@pytest.mark.parametrize(
    "kind", ["doc-unavailable", "remote-subscription-change", "remote-heads-changed", "new"]
)
def test_what_a_server_has_no_use_for_is_told_apart(kind: str) -> None:
    assert decode(cbor2.dumps({"type": kind, "senderId": "alice"})) == Other(kind)


def test_a_goodbye() -> None:
    assert decode(cbor2.dumps({"type": "leave", "senderId": "alice"})) == Leave()


@pytest.mark.parametrize(
    "frame",
    [
        JOIN | {"senderId": 1},
        JOIN | {"senderId": ""},
        JOIN | {"senderId": "a" * 201},
        JOIN | {"supportedProtocolVersions": "1"},
        JOIN | {"supportedProtocolVersions": [1]},
        SYNC | {"documentId": b"x"},
        SYNC | {"data": b""},
        SYNC | {"data": "text"},
        SYNC | {"data": cbor2.undefined},
        EPHEMERAL | {"count": True},
        EPHEMERAL | {"count": -1},
        EPHEMERAL | {"count": 1.0},
        EPHEMERAL | {"sessionId": None},
        {"senderId": "alice"},
        {"type": 1},
        {1: 2},
        [JOIN],
        "join",
    ],
)
def test_a_field_of_another_type_is_refused(frame: Any) -> None:
    with pytest.raises(ClientProtocolError):
        decode(cbor2.dumps(frame))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("", id="nothing"),
        pytest.param("a1647479706564", id="cut off"),
        pytest.param("a2647479706561616474797065" + "6162", id="a key twice"),
        pytest.param("bf6474797065646a6f696eff", id="of indefinite length"),
        pytest.param("a16474797065" + "81" * 40 + "01", id="too deep"),
        pytest.param("a16474797065" + "d823" + "6428612b29", id="a regular expression"),
        pytest.param("a16474797065" + "c2" + "4101", id="a number of any size"),
        pytest.param("a16474797065" + "c5821a3b9aca0001", id="a power of a large number"),
        pytest.param("d81c" + "a16474797065d81d00", id="one that is in itself"),
        pytest.param("a16474797065" + "9b0000000100000000", id="a list without end"),
        pytest.param("a16474797065" + "7b0000000100000000", id="a text without end"),
        pytest.param("a16474797065" + "61ff", id="no UTF-8"),
        pytest.param("a1" + "8001", id="a list for a key"),
        pytest.param("a16474797065" + "d9d9f7" + "646a6f696e", id="a tag that means nothing"),
    ],
)
def test_what_a_decoder_could_choke_on_is_refused(frame: str) -> None:
    with pytest.raises(ClientProtocolError):
        decode(bytes.fromhex(frame))


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else(frame: bytes) -> None:
    decoded_or_refused(frame)


@given(st.dictionaries(names, values), st.sampled_from([JOIN, SYNC, EPHEMERAL, {}]))
def test_neither_do_messages_with_anything_in_them(
    fields: dict[str, Any], rest: dict[str, Any]
) -> None:
    decoded_or_refused(cbor2.dumps({**rest, **fields}))


@given(st.sampled_from([JOIN, SYNC, EPHEMERAL]), st.data())
def test_neither_do_messages_with_a_wrong_byte(fields: dict[str, Any], data: st.DataObject) -> None:
    frame = bytearray(cbor2.dumps(fields))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    decoded_or_refused(bytes(frame))


def test_what_we_send_is_what_automerge_repo_reads() -> None:
    """The names are those of its ``messages.ts``; clients from npm read them in the other tests."""
    assert cbor2.loads(repo_messages.peer("kmux", "alice")) == {
        "type": "peer",
        "senderId": "kmux",
        "targetId": "alice",
        "peerMetadata": {"isEphemeral": True},
        "selectedProtocolVersion": "1",
    }
    assert cbor2.loads(repo_messages.error("kmux", "alice", "why")) == {
        "type": "error",
        "senderId": "kmux",
        "targetId": "alice",
        "message": "why",
    }
    assert cbor2.loads(repo_messages.sync("kmux", "alice", IT, b"B")) == {
        "type": "sync",
        "senderId": "kmux",
        "targetId": "alice",
        "documentId": IT,
        "data": b"B",
    }
    assert cbor2.loads(repo_messages.unavailable("kmux", "alice", IT)) == {
        "type": "doc-unavailable",
        "senderId": "kmux",
        "targetId": "alice",
        "documentId": IT,
    }
