"""The one module that touches Automerge: what gets in, what comes out, and what must not happen."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InternalError, StoreError
from proxy.record import document as module
from proxy.record.document import ROOT, Document, DocumentBroken

scalars = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.binary(max_size=50),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
        | st.lists(inner.filter(lambda each: not isinstance(each, list)), max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), trees, max_size=4))
def test_what_was_put_in_comes_out_saved_and_loaded(tree: dict[str, Any]) -> None:
    document = Document()
    with document.write() as writer:
        for key, value in tree.items():
            writer.put_tree(ROOT, key, value)
    read = Document.load(document.save()).read()
    assert read == tree
    assert {k: type(v) for k, v in read.items()} == {k: type(v) for k, v in tree.items()}


@pytest.mark.parametrize("value", [bytearray(b"x"), memoryview(b"x"), Decimal(1), object(), 2**63])
def test_a_value_that_would_end_the_process_never_gets_there(value: Any) -> None:
    document = Document()
    with pytest.raises(InternalError):  # noqa: PT012, SIM117
        with document.write() as writer:
            writer.put(ROOT, "before", 1)
            writer.put(ROOT, "key", value)
    assert document.read() == {}, "and nothing of that transaction did"
    with document.write() as writer:
        writer.put(ROOT, "key", 1)
    assert document.read() == {"key": 1}


def test_text_that_is_none_is_made_one() -> None:
    document = Document()
    with document.write() as writer:
        writer.put(ROOT, "key", "a\ud800b")
    assert document.read() == {"key": "a?b"}


def test_changes_follow_what_was_saved() -> None:
    document = Document()
    with document.write() as writer:
        inner = writer.put_list(ROOT, "list")
    saved, heads = document.save(), document.heads
    pieces = []
    for number in range(3):
        with document.write() as writer:
            writer.insert(inner, number, number)
        pieces.append(document.changes_since(heads))
        heads = document.heads
    assert Document.load(saved).read() == {"list": []}
    assert Document.load(saved + b"".join(pieces)).read() == {"list": [0, 1, 2]}
    assert document.changes_since(heads) == b""


def test_writing_what_is_there_is_no_change() -> None:
    document = Document()
    for _ in range(2):
        with document.write() as writer:
            writer.put(ROOT, "key", "value")
    with document.write():
        pass
    assert len(document.changes_since([])) < 150
    assert document.operations == 2
    assert document.bytes_written == 10


def test_what_is_damaged_is_refused_in_one_line() -> None:
    for data in (b"", b"none", Document().save()[:-1] + b"x"):
        if data == b"":
            assert Document.load(data).read() == {}
            continue
        with pytest.raises(StoreError, match="no Automerge document"):
            Document.load(data)


def test_a_document_deeper_than_ours_is_refused() -> None:
    document = Document()
    with document.write() as writer:
        obj = ROOT
        for _ in range(module.MAX_DEPTH + 2):
            obj = writer.put_map(obj, "k")
    with pytest.raises(StoreError, match="deeper"):
        document.read()


def test_a_panic_breaks_the_document_and_nothing_else() -> None:
    """In a process of its own: what panicked must never be dropped, not even at its end."""
    script = """
        import gc
        from automerge import core
        from proxy.record import document as module
        from proxy.record.document import ROOT, Document, DocumentBroken

        document = Document()
        module._TYPES[str] = core.ScalarType.Counter  # what must never happen
        try:
            with document.write() as writer:
                writer.put(ROOT, "key", "value")
        except DocumentBroken as error:
            print("broken:", error)
        for use in (document.save, document.read, lambda: document.heads):
            try:
                use()
            except DocumentBroken:
                print("still broken")
        del document
        gc.collect()
        fresh = Document()
        module._TYPES[str] = core.ScalarType.Str
        with fresh.write() as writer:
            writer.put(ROOT, "key", "value")
        print(fresh.read())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30
    )
    assert run.returncode == 0, run.stderr
    assert "broken: automerge panicked" in run.stdout
    assert run.stdout.count("still broken") == 3
    assert run.stdout.endswith("{'key': 'value'}\n")


def test_an_exception_in_the_middle_leaves_nothing_behind() -> None:
    document = Document()
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117
        with document.write() as writer:
            writer.put(ROOT, "key", 1)
            raise ZeroDivisionError
    gc.collect()
    assert document.read() == {}
    assert not isinstance(StoreError("x"), DocumentBroken)
