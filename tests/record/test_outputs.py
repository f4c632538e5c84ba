"""What a cell shows, compared with a list that does as the protocol says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Message
from proxy.record import outputs as shown
from proxy.record.notebook import as_notebook_outputs
from proxy.record.outputs import MAX_STREAM_BYTES
from proxy.record.state import Display, Error, Outputs, Stream
from proxy.record.values import Large
from tests.messages import message, published
from tests.record.facts import LIMIT, Store

Content = dict[str, Any]


def content_of(msg_type: str, **content: Any) -> Any:
    read = shown.read(published(msg_type, **content))
    assert read is not None
    return read


def notebook(outputs: Outputs, store: Store) -> list[dict[str, Any]]:
    """Outputs as a notebook has them, large or not."""

    def fetch(large: Large) -> bytes:
        if large.part is not None:
            store.put([large])
        return store.get(large.sha256)

    return as_notebook_outputs(outputs.items, fetch)


# Any order of outputs, of clearing, and of replacing what is shown


@dataclass
class Naive:
    """A list of outputs, as "clear_output" and "Code cell outputs" describe it."""

    items: list[dict[str, Any]] = field(default_factory=list)
    clears: bool = False

    def add(self, output: dict[str, Any]) -> None:
        if self.clears:
            self.clear(wait=False)
        last = self.items[-1] if self.items else {"name": None}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            self.items.append(output)

    def clear(self, *, wait: bool) -> None:
        self.clears = wait
        if not wait:
            self.items = []


_texts = st.sampled_from(["a", "line\n", "\r", "", "x" * LIMIT, "é" * 3 * LIMIT, "日本"])
_bundles = st.fixed_dictionaries(
    {"text/plain": _texts},
    optional={
        "image/png": st.sampled_from(["AAAA", "iVBO\n", "no base64"]),
        "application/json": st.sampled_from([{"a": 1}, ["x" * LIMIT], "text", None]),
    },
)
_streams = st.builds(
    lambda name, text: ("stream", {"name": name, "text": text}),
    st.sampled_from(["stdout", "stderr"]),
    _texts,
)
_displays = st.builds(
    lambda data, meta: ("display_data", {"data": data, "metadata": meta}),
    _bundles,
    st.sampled_from([{}, {"m": 1}, {"long": "x" * LIMIT}]),
)
_results = st.builds(
    lambda data, count: (
        "execute_result",
        {"data": data, "metadata": {}, "execution_count": count},
    ),
    _bundles,
    st.integers(1, 3),
)
_errors = st.builds(
    lambda text: ("error", {"ename": "E", "evalue": text, "traceback": [text, "end"]}), _texts
)
_added = st.one_of(_streams, _displays, _results, _errors)
_steps = st.one_of(
    st.tuples(st.just("add"), _added),
    st.tuples(st.just("clear"), st.booleans()),
    st.tuples(st.just("replace"), st.tuples(st.integers(0, 5), _displays)),
    st.tuples(st.just("settle"), st.none()),
)


def settle(outputs: Outputs, store: Store) -> None:
    """What is done before the record is written."""
    for output in outputs.items:
        if isinstance(output, Stream):
            shown.settle(output, LIMIT)
            assert not output.pending
        store.put([large for large in shown.larges(output) if not large.sha256])
    outputs.written = len(outputs.items)


@given(st.lists(_steps, max_size=40))
def test_whatever_is_shown_cleared_and_replaced(steps: list[tuple[str, Any]]) -> None:
    outputs, naive, store = Outputs(), Naive(), Store()
    for step, what in steps:
        match step:
            case "add":
                msg_type, content = what
                output = shown.output_of(msg_type, content_of(msg_type, **content), LIMIT)
                assert output is not None
                place = shown.add(outputs, output)
                naive.add({"output_type": msg_type, **content})
                assert place == len(naive.items) - 1
            case "clear":
                shown.clear(outputs, wait=what)
                naive.clear(wait=what)
            case "replace":
                at, (msg_type, content) = what
                if at < len(naive.items) and "data" in naive.items[at]:
                    display = shown.output_of(msg_type, content_of(msg_type, **content), LIMIT)
                    assert isinstance(display, Display)
                    shown.replace(outputs, at, display)
                    naive.items[at] |= content
            case "settle":
                settle(outputs, store)
        assert notebook(outputs, store) == naive.items
        assert outputs.clears == naive.clears
        assert outputs.stale <= set(range(len(outputs.items)))


def test_what_the_document_has_and_what_it_lacks_is_known() -> None:
    outputs, store = Outputs(), Store()
    one, other = (
        shown.output_of("display_data", content_of("display_data", data={"text/plain": text}))
        for text in "ab"
    )
    assert isinstance(one, Display)
    assert isinstance(other, Display)
    shown.add(outputs, one)
    shown.replace(outputs, 0, other)
    assert outputs.stale == set(), "it is written whole, later"
    settle(outputs, store)
    shown.replace(outputs, 0, other)
    assert outputs.stale == {0}
    shown.clear(outputs, wait=True)
    assert (len(outputs.items), outputs.cleared) == (1, False)
    shown.clear(outputs)
    assert (outputs.items, outputs.stale, outputs.cleared) == ([], set(), True)


# A long stream

_places = st.sampled_from(["here", "stored", "waits"])
_chunks = st.lists(st.tuples(st.text(alphabet="aé日🎉\n", max_size=60), _places), max_size=12)
_ascii_chunks = st.lists(st.tuples(st.text(alphabet="a\n", max_size=60), _places), max_size=12)


def chunks_of(pieces: list[tuple[str, str]], store: Store) -> list[str | Large]:
    """Pieces of a stream: where they are, as blobs, and as blobs that the disk does not take."""
    chunks: list[str | Large] = []
    for text, place in pieces:
        if place == "here":
            chunks.append(text)
            continue
        raw = text.encode()
        large = Large("text/plain", "utf-8", len(raw), raw)
        if place == "stored":
            store.put([large])
        chunks.append(large)
    return chunks


def joined(chunks: list[str | Large], store: Store) -> str:
    return "".join(
        chunk
        if isinstance(chunk, str)
        else (store.get(chunk.sha256) if chunk.part is None else bytes(chunk.part)).decode()
        for chunk in chunks
    )


@given(_chunks, st.sampled_from([1, 20, 100, 10_000]))
def test_pieces_are_merged_and_no_character_is_lost(
    pieces: list[tuple[str, str]], size: int
) -> None:
    store = Store()
    with patch.object(shown, "INLINE_BYTES", LIMIT):
        merged = shown.merge(chunks_of(pieces, store), store.get, size)
    assert joined(merged, store) == "".join(text for text, _ in pieces)
    smaller = [c for c in merged if (c.size if isinstance(c, Large) else len(c.encode())) < size]
    large = sum(place != "here" and len(text.encode()) >= size for text, place in pieces)
    assert len(smaller) <= large + 1, "one between each two that are large enough"


def test_what_is_large_enough_is_not_read_again() -> None:
    store = Store()
    large, small = chunks_of([("x" * 100, "stored"), ("y", "here")], store)
    store.blobs.clear()
    assert shown.merge([large, small], store.get, 100) == [large, "y"]


@given(_ascii_chunks, st.integers(0, 120))
def test_a_stream_is_bounded_at_its_beginning(pieces: list[tuple[str, str]], limit: int) -> None:
    store = Store()
    stream = Stream("stdout", chunks_of(pieces, store))
    before = list(stream.chunks)
    shown.bound(stream, limit)
    kept = len(stream.chunks)
    assert stream.chunks == before[len(before) - kept :], "the end stays"
    sizes = [c.size if isinstance(c, Large) else len(c) for c in before]
    assert stream.dropped_bytes == sum(sizes[: len(before) - kept])
    assert sum(sizes[len(before) - kept :]) <= limit or kept <= 1
    if kept < len(before):
        assert sum(sizes[len(before) - kept - 1 :]) > limit, "no more than must"


def test_an_ordinary_stream_is_not_bounded() -> None:
    stream = Stream("stdout", ["x" * 1000] * 100)
    shown.bound(stream)
    assert (len(stream.chunks), stream.dropped_bytes) == (100, 0)
    assert MAX_STREAM_BYTES == 64 * 1024 * 1024


def test_what_is_printed_between_two_looks_is_one_piece() -> None:
    stream = Stream("stdout", pending=["a", "b"])
    shown.settle(stream)
    shown.settle(stream)
    stream.pending.append("c")
    shown.settle(stream)
    assert stream.chunks == ["ab", "c"]


# Messages


def raw(msg_type: str, content: bytes) -> Message:
    return msgspec.structs.replace(message(msg_type), raw_content=content)


def test_bytes_that_are_no_text_cost_a_character() -> None:
    read = shown.read(raw("stream", b'{"name": "stdout", "text": "a\xffb"}'))
    assert read is not None
    assert read.text == "a�b"


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b'{"text": 1}', b'{"data": []}', b'{"text": "a"', b'{"traceback": [1]}'],
)
def test_what_is_no_output_is_none(content: bytes) -> None:
    assert shown.read(raw("stream", content)) is None


@pytest.mark.parametrize("msg_type", ["status", "clear_output", "update_display_data", "comm_msg"])
def test_other_messages_add_nothing(msg_type: str) -> None:
    assert shown.output_of(msg_type, content_of(msg_type)) is None


def test_display_ids_are_transient() -> None:
    assert shown.display_id_of(content_of("display_data", transient={"display_id": "d"})) == "d"
    assert shown.display_id_of(content_of("display_data", transient={})) is None
    assert shown.display_id_of(content_of("display_data")) is None


def test_a_long_traceback_is_a_blob_of_its_lines() -> None:
    lines = ["line\x1b[0m" * 5] * 20
    error = shown.output_of(
        "error", content_of("error", ename="E", evalue="v" * 100, traceback=lines), LIMIT
    )
    assert isinstance(error, Error)
    assert isinstance(error.traceback, Large)
    assert isinstance(error.evalue, Large)
    assert json.loads(bytes(error.traceback.part or b"")) == lines
    assert shown.larges(error) == [error.evalue, error.traceback]


def test_all_that_is_large_is_found() -> None:
    display = shown.output_of(
        "display_data",
        content_of(
            "display_data",
            data={"text/plain": "short", "image/png": "AAAA", "text/html": "x" * LIMIT},
            metadata={"long": "x" * LIMIT},
        ),
        LIMIT,
    )
    assert display is not None
    assert [v.media_type for v in shown.larges(display)] == [
        "image/png",
        "text/html",
        "application/json",
    ]
    assert (
        len(shown.larges(Stream("stdout", ["short", *chunks_of([("x", "waits")], Store())]))) == 1
    )
