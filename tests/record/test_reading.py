"""What was written is read back as it was, and odd documents are refused in one line."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given

from proxy.errors import StoreError
from proxy.message import ClientId
from proxy.record import trees
from proxy.record.archive import MIN_PAGE, draft
from proxy.record.document import Document
from proxy.record.reading import client_of, read_page, read_record
from proxy.record.state import Outputs, SessionRecord, Stream
from proxy.session import facts
from tests.record import facts as f
from tests.record.test_projection import Written


def comparable(record: SessionRecord) -> Any:
    """What is to survive: all but what is known only while it is written."""
    tree = {
        "executions": [trees.execution_tree(e) for e in record.executions.values()],
        "comms": {comm_id: trees.comm_tree(comm) for comm_id, comm in record.comms.items()},
        "fields": {comm_id: _fields(comm.fields) for comm_id, comm in record.comms.items()},
        "session": trees.session_tree(record),
        "clients": trees.clients_tree(record),
        "rest": (record.queue, dataclasses.asdict(record.let_go), record.missed),
    }
    return f.as_json(tree)


def _fields(fields: Any) -> Any:
    if fields is None:
        return None
    return {
        key: [
            None if field.value is None else bytes(field.value).decode("utf-8", "replace"),
            sorted((str(path), bytes(part).hex()) for path, part in field.buffers),
        ]
        for key, field in sorted(fields.items())
    }


@given(f.any_facts)
def test_what_was_written_is_read_back(happened: list[facts.Fact]) -> None:
    written = Written()
    written.take(*happened)
    written.write()
    saved = written.projection.document.save()
    record, pages = read_record(Document.load(saved).read(), written.store.get)
    assert pages == []
    assert comparable(record) == comparable(written.folding.record)


@given(f.any_facts, f.any_facts)
def test_what_is_read_back_goes_on(before: list[facts.Fact], after: list[facts.Fact]) -> None:
    """Whatever happens next, it is written and read as well."""
    written = Written()
    written.take(*before)
    written.write()
    record, _ = read_record(written.projection.document.read(), written.store.get)
    written.folding = f.Folding(record, f.LIMIT)
    written.anew()
    written.take(*after)
    written.check()


def test_a_cell_that_ran_goes_on_and_one_that_waited_is_lost() -> None:
    written = Written()
    written.take(f.queued("1", "a"), f.sent("a"), f.prints("one\n", "a"), f.queued("2", "b"))
    written.write()
    record, _ = read_record(written.projection.document.read(), written.store.get)
    folding = f.Folding(record, f.LIMIT)
    folding.take(f.prints("two\n", "a"))
    folding.settle()
    first, second = record.executions.values()
    (stream,) = first.outputs.items
    assert isinstance(stream, Stream)
    assert "".join(map(str, stream.chunks)) == "one\ntwo\n"
    assert (first.state, second.state, second.end) == ("executing", "complete", "lost")
    present = facts.Present(execution_state="idle", clients={}, queue=(), holders=None)
    folding.be(present)
    assert (first.state, first.end) == ("complete", "ok")


def test_what_nobody_heard_is_marked() -> None:
    """The kernel is found again, the same one, some time after kmux ended."""
    written = Written()
    written.take(f.info("its session"), f.opens("c", {"value": 1}))
    written.write()
    for session, missed in (("its session", [(50.0, 60.0)]), ("another", [])):
        record, _ = read_record(written.projection.document.read(), written.store.get)
        record.left = 50.0
        folding = f.Folding(record, f.LIMIT)
        folding.take(facts.KernelBegan(at=59.0, found=True))
        folding.take(f.info(session, at=60.0))
        assert record.missed == missed
        assert (record.comms["c"].closed is None) == (session == "its session")


@pytest.mark.parametrize("text", ["zmq/alice", "zmq/0x0001", "zmq", "a/0x2f/b"])
def test_clients_are_known_again(text: str) -> None:
    assert trees.client_text(client_of(text)) == text


def test_pages_of_the_archive_are_read_back() -> None:
    written = Written()
    for number in range(MIN_PAGE + 250):
        name = f"m{number}"
        written.take(f.queued("x" * 3 * f.LIMIT, name), f.sent(name), f.prints("out", name))
        written.take(f.ended(name, at=float(number)))
    for number in range(300):
        written.take(f.opens(f"c{number}", {"value": number}), f.closes(f"c{number}"))
    written.write()
    executions = comparable(written.folding.record)["executions"]
    record = written.folding.record
    over = draft(record)
    assert over is not None
    while over.add_some():
        pass
    page = over.page(at=0.0)
    assert page.large.part is not None
    assert len(record.executions) == MIN_PAGE + 250, "it may not be stored yet"
    over.take_out(record)
    cells, comms = read_page(bytes(page.large.part), written.store.get)
    assert [trees.execution_tree(e) for e in cells] == executions[: len(cells)]
    assert len(cells) == page.executions == page.outputs == MIN_PAGE + 50
    assert len(comms) == 100
    assert page.until == float(len(cells) - 1)
    assert len(record.executions) == len(record.comms) == 200
    assert draft(record) is None


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"schema": "kmux.record/9"},
        {"schema": trees.SCHEMA},
        {"schema": trees.SCHEMA, "session": {}, "archive": []},
        [],
    ],
)
def test_what_is_no_record_is_refused(tree: Any) -> None:
    with pytest.raises(StoreError, match="record"):
        read_record(tree, lambda name: b"")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"executions": [1], "comms": []}'])
def test_a_page_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        read_page(raw, lambda name: b"")


def test_identities_of_any_bytes_survive() -> None:
    client = ClientId((b"zmq", b"0xab", b"/", bytes(range(256))))
    assert client_of(trees.client_text(client)) == client
    assert Outputs().items == []
