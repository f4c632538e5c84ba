"""A document as a line of changes."""

from __future__ import annotations

import pytest
from automerge import core

from proxy.errors import StoreError
from proxy.record.document import ROOT, Document
from proxy.record.feed import WHOLE_IS_STALE, Feed


def write(document: Document, times: int = 1) -> None:
    for _ in range(times):
        with document.write() as writer:
            writer.put(ROOT, "n", document.changes)


def started(changes: int = 3) -> tuple[Document, Feed]:
    document = Document()
    write(document, changes)
    return document, Feed(document)


def loaded(pieces: list[bytes]) -> list[bytes]:
    return Document.load(b"".join(pieces)).heads


def test_what_was_written_is_taken_in_once() -> None:
    document, feed = started()
    assert feed.end == 1, "all that there was"
    assert not feed.catch_up()
    write(document, 2)
    assert feed.end == 1
    assert feed.catch_up()
    assert (feed.end, feed.heads) == (3, document.heads)


def test_an_empty_document_begins_with_its_first_change() -> None:
    document = Document()
    feed = Feed(document)
    assert (feed.end, feed.heads, feed.number_of([])) == (0, [], 0)
    write(document, 2)
    assert feed.catch_up()
    assert feed.end == 2
    assert loaded(feed.changes_after(0)) == document.heads


def test_somebody_is_as_far_as_the_last_change_that_they_name() -> None:
    document, feed = started()
    seen = [document.heads]
    for _ in range(3):
        write(document)
        seen.append(document.heads)
    feed.catch_up()
    assert [feed.number_of(heads) for heads in seen] == [1, 2, 3, 4]
    assert feed.number_of([*seen[2], *seen[1], b"x" * 32]) == 3
    assert feed.number_of([b"x" * 32]) == 0
    assert feed.before(seen[2]) == 2, "who lacks the third has two at most"
    assert feed.before([b"x" * 32]) == feed.end


def test_changes_after_a_number_are_what_is_missing() -> None:
    document, feed = started()
    copy = document.save()
    write(document, 5)
    feed.catch_up()
    assert len(feed.changes_after(1)) == 5
    assert loaded([copy, *feed.changes_after(1)]) == document.heads
    assert len(feed.changes_after(4)) == 2
    assert feed.changes_after(feed.end) == []
    assert len(feed.changes_after(0)) == 8, "also those of before"


def test_the_same_is_put_together_once_for_all() -> None:
    document, feed = started()
    write(document, 2)
    feed.catch_up()
    assert feed.changes_after(1) is feed.changes_after(1)
    write(document)
    feed.catch_up()
    assert len(feed.changes_after(1)) == 3


def test_the_whole_is_packed_anew_when_much_has_changed() -> None:
    document, feed = started()
    pieces = []
    for step in (0, 1, WHOLE_IS_STALE - 1, 1, 1):
        write(document, step)
        feed.catch_up()
        assert loaded(feed.whole()) == document.heads
        pieces.append(len(feed.whole()))
    assert pieces == [1, 2, 1 + WHOLE_IS_STALE, 1, 2]


def test_a_document_that_somebody_else_wrote_into_is_refused() -> None:
    both = core.Document()
    others = [both.fork(), both.fork()]
    for other in others:
        with other.transaction() as transaction:
            transaction.put(core.ROOT, "n", core.ScalarType.Int, 1)
        both.merge(other)
    with pytest.raises(StoreError, match="somebody else"):
        Feed(Document.load(both.save()))
