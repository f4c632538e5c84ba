"""Hypothesis strategies for frames: well-formed ones, and all that is not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from proxy.message import Part
from proxy.wire.signing import Signer
from proxy.wire.zmq_frames import DELIMITER

keys = st.one_of(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=300))
"""Also longer than the block of any hash: those are hashed first."""
blobs = st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(memoryview))
"""Frames as the sockets bring them: small ones as bytes, large ones as views."""

identities = st.binary(min_size=1, max_size=64).filter(lambda frame: frame != DELIMITER)
routings = st.lists(identities, max_size=4).map(tuple)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
json_objects = st.dictionaries(st.text(max_size=12), json_values, max_size=6)


def _raw(value: Any) -> st.SearchStrategy[bytes]:
    """One JSON value in the ways in which kernels write it."""
    return st.sampled_from(
        [
            json.dumps(value).encode(),
            json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"),
            json.dumps(value, indent=2).encode(),
            json.dumps(value, separators=(",", ":"), sort_keys=True).encode(),
        ]
    )


KNOWN_KEYS = ("session", "subshell_id")
"""Hypothesis knows the words of our source, and would have these be of any type."""

header_objects = st.builds(
    lambda known, more: {**{k: v for k, v in more.items() if k not in KNOWN_KEYS}, **known},
    st.fixed_dictionaries(
        {"msg_id": st.text(max_size=40), "msg_type": st.text(max_size=30)},
        optional={
            "session": st.none() | st.text(max_size=40),
            "subshell_id": st.none() | st.text(max_size=40),
        },
    ),
    json_objects,
)
raw_headers = header_objects.flatmap(_raw)
raw_objects = json_objects.flatmap(_raw)
raw_parents = st.one_of(raw_headers, st.sampled_from([b"{}", b"null", b""]))

signed_parts = st.tuples(raw_headers, raw_parents, raw_objects, raw_objects)
"""Header, parent header, metadata and content."""


def frames_of(
    signer: Signer, routing: tuple[bytes, ...], parts: tuple[Part, ...], buffers: list[Part]
) -> list[Part]:
    """Sign the parts and put the frames in the order of the wire."""
    return [*routing, DELIMITER, signer.sign(*parts), *parts, *buffers]


_deep = st.integers(100, 3000).map(
    lambda depth: b'{"msg_id":"1","msg_type":"a","x":' + b"[" * depth
)


@st.composite
def damaged(draw: st.DrawFn, intact: st.SearchStrategy[bytes]) -> bytes:
    """JSON with some bytes cut out, put in, doubled or replaced: UTF-8 does not survive it."""
    raw = bytearray(draw(intact))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(raw)


_samples = st.sampled_from(
    [
        b'{"msg_id": "1", "msg_type": "execute_request", "session": "s"}',
        '{"msg_id": "π", "msg_type": "status", "session": null}'.encode(),
        b'{"msg_type":"x","msg_id":"\\u00e9","date":"2026-11-22T12:00:00Z","x":{"y":[1.5e3,true]}}',
        b'{"msg_id": 1, "msg_type": "a"}',
        b'{"msg_id": "1"}',
        b"[]",
        b"{}",
    ]
)
junk_json = st.one_of(st.binary(max_size=60), damaged(_samples), _samples, _deep)
"""What somebody who has the key may put in place of a header."""


@st.composite
def junk_frames(draw: st.DrawFn, signer: Signer) -> list[bytes]:
    """Multipart messages that are wrong in one of all the ways that there are."""
    kind = draw(st.sampled_from(["noise", "delimited", "signed", "unsigned", "short", "long"]))
    if kind == "noise":
        return draw(st.lists(st.binary(max_size=80), min_size=1, max_size=10))
    parts = (
        draw(junk_json),
        draw(junk_json),
        draw(st.binary(max_size=40)),
        draw(st.binary(max_size=40)),
    )
    if kind == "delimited":
        return [DELIMITER, *draw(st.lists(st.binary(max_size=80), max_size=8))]
    if kind == "signed":
        return [DELIMITER, signer.sign(*parts), *parts]
    if kind == "unsigned":
        return [DELIMITER, draw(st.sampled_from([b"", b"0" * 64, b"\xff" * 64])), *parts]
    if kind == "short":
        whole = [DELIMITER, signer.sign(*parts), *parts]
        return whole[: draw(st.integers(1, 5))]
    return [draw(st.binary(min_size=1, max_size=9))] * draw(st.integers(9, 40)) + [
        DELIMITER,
        signer.sign(*parts),
        *parts,
    ]
