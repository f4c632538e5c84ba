"""State into a document: whatever happens, and whenever it is written, the document has it all."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.record import projection, trees
from proxy.record.archive import Page
from proxy.record.folding import Folding
from proxy.record.projection import OPERATIONS_AT_ONCE, Projection
from proxy.record.state import SessionRecord
from proxy.record.values import Large
from proxy.session import facts
from tests.record.facts import (
    ALICE,
    BOB,
    Store,
    any_facts,
    changes,
    ended,
    new_folding,
    opens,
    prints,
    queued,
    says,
    sent,
    shows,
)


def wanted(record: SessionRecord) -> dict[str, Any]:
    """All that a document of this record has."""
    return {
        "schema": trees.SCHEMA,
        "session": trees.session_tree(record),
        "clients": trees.clients_tree(record),
        "executions": [trees.execution_tree(e) for e in record.executions.values()],
        "comms": {comm_id: trees.comm_tree(comm) for comm_id, comm in record.comms.items()},
        "archive": [],
        "queue": trees.queue_tree(record),
        "let_go": trees.let_go_tree(record.let_go),
        "missed": trees.missed_tree(record),
    }


class Written:
    """A record that is written when it is told to."""

    def __init__(self) -> None:
        self.folding: Folding = new_folding()
        self.store = Store()
        self.anew()

    def anew(self) -> None:
        record = self.folding.record
        self.store.put(self.folding.settle())
        self.projection = Projection(record, [])
        self.folding.changed_executions = dict(record.executions)
        self.folding.changed_comms = dict(record.comms)
        self.write()

    def write(self) -> None:
        self.store.put(self.folding.settle())
        while self.projection.write(self.folding):
            pass

    def take(self, *happened: facts.Fact) -> None:
        for fact in happened:
            self.folding.take(fact)

    def check(self) -> None:
        self.write()
        assert self.projection.document.read() == wanted(self.folding.record)


@pytest.mark.parametrize("at_once", [projection.OPERATIONS_AT_ONCE, 3])
@given(parts=st.lists(st.tuples(any_facts, st.booleans()), max_size=4))
def test_the_document_has_what_the_state_has(
    at_once: int, parts: list[tuple[list[facts.Fact], bool]]
) -> None:
    with patch.object(projection, "OPERATIONS_AT_ONCE", at_once):
        written = Written()
        for happened, anew in parts:
            written.take(*happened)
            if anew:
                written.anew()
            written.check()


def test_however_much_there_is_it_is_written_in_small_pieces() -> None:
    """A cell with thousands of outputs, or an archive of years, is to keep nobody waiting."""
    written = Written()
    written.take(queued("1", "a"), sent("a"))
    written.take(*[shows({"text/plain": f"{n}"}, "a", f"d{n}") for n in range(1000)])
    written.take(prints("begun\n", "a"))
    written.check()
    written.take(prints("over\n", "a"))
    written.take(*[says("update_display_data", "a", **display(f"d{n}")) for n in range(1000)])
    pages = [Page(Large("application/json", "json", 1, sha256="ab"), 1, 1, 1, 1.0)] * 500
    for _ in range(2):
        sizes, more = [], True
        written.store.put(written.folding.settle())
        while more:
            before = written.projection.document.operations
            more = written.projection.write(written.folding)
            sizes.append(written.projection.document.operations - before)
        assert sum(sizes) > 4000
        assert max(sizes) < OPERATIONS_AT_ONCE + 20
        shown = written.projection.document.read()
        assert shown["executions"] == wanted(written.folding.record)["executions"]
        written.projection = Projection(written.folding.record, pages)
        written.folding.changed_executions = dict(written.folding.record.executions)
    assert len(shown["archive"]) == 500  # type: ignore[arg-type]


def display(display_id: str) -> dict[str, Any]:
    data = {"text/plain": f"new {display_id}"}
    return {"data": data, "metadata": {}, "transient": {"display_id": display_id}}


def test_only_what_changed_is_written() -> None:
    written = Written()
    written.take(queued("1", "a"), sent("a"), prints("one\n", "a"), opens("c", {"value": 1}))
    written.check()
    before = written.projection.document.operations
    written.take(prints("two\n", "a"), prints("three\n", "a"), changes("c", {"value": 2}))
    written.take(changes("c", {"value": 3}))
    written.check()
    assert written.projection.document.operations - before == 2, "a piece of text, a value"
    before = written.projection.document.operations
    written.take(changes("c", {"value": 3}))
    written.check()
    assert written.projection.document.operations == before, "nothing changed"


def test_much_is_written_in_slices() -> None:
    written = Written()
    written.take(*(opens(f"c{n}", {"value": n}) for n in range(50)))
    written.store.put(written.folding.settle())
    slices = 1
    while written.projection.write(written.folding):
        slices += 1
    assert slices > 5
    written.check()


def test_clients_come_and_go() -> None:
    written = Written()
    for clients in ({ALICE: 1.0}, {ALICE: 1.0, BOB: 2.0}, {BOB: 2.0}):
        present = facts.Present(
            execution_state="idle", clients=clients, queue=(), holders={"none": (ALICE,)}
        )
        written.folding.be(present)
        written.check()
    (only,) = written.projection.document.read()["clients"].values()  # type: ignore[union-attr]
    assert only["kind"] == "zmq"  # type: ignore[index,call-overload]


def test_a_list_of_outputs_is_replaced_in_place() -> None:
    written = Written()
    written.take(queued("1", "a"), sent("a"), shows({"text/plain": "one"}, "a", "d"))
    written.take(prints("between", "a"))
    written.check()
    update: dict[str, Any] = {"data": {"text/plain": "two"}, "metadata": {}}
    written.take(says("update_display_data", "a", transient={"display_id": "d"}, **update))
    written.check()
    written.take(says("clear_output", "a", wait=True), prints("last", "a"), ended("a"))
    written.check()
    (cell,) = written.projection.document.read()["executions"]  # type: ignore[misc]
    assert cell["outputs"] == [  # type: ignore[index,call-overload]
        {"output_type": "stream", "name": "stdout", "text": ["last"]}
    ]
