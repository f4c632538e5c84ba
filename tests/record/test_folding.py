"""Facts into state, compared with a replay that knows nothing but the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import ClientId
from proxy.record import folding as module
from proxy.record.folding import Folding
from proxy.record.notebook import as_notebook_outputs
from proxy.record.state import Display, Execution, Stream
from proxy.record.values import Large
from proxy.session import facts
from tests.messages import as_json
from tests.record.facts import (
    ALICE,
    BOB,
    CELLS,
    LIMIT,
    Store,
    any_facts,
    changes,
    closes,
    ended,
    info,
    new_folding,
    opens,
    prints,
    queued,
    says,
    sent,
    shows,
)


def executions(folding: Folding) -> list[Execution]:
    return list(folding.record.executions.values())


# Cells and what they show, in whatever order


@dataclass
class Cell:
    """A cell as who replays the messages would have it."""

    outputs: list[dict[str, Any]] = field(default_factory=list)
    clears: bool = False

    def add(self, output: dict[str, Any]) -> None:
        if self.clears:
            self.outputs, self.clears = [], False
        last = self.outputs[-1] if self.outputs else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            self.outputs.append(output)


class Replay:
    """Takes the same steps as a folding, cell by cell."""

    def __init__(self) -> None:
        self.cells = {name: Cell() for name in CELLS}

    def print(self, cell: str, name: str, text: str) -> None:
        self.cells[cell].add({"output_type": "stream", "name": name, "text": text})

    def show(self, cell: str, text: str, display_id: str | None) -> None:
        if display_id is not None:
            self.update(text, display_id)
        output = {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}
        self.cells[cell].add({**output, "display_id": display_id})

    def update(self, text: str, display_id: str) -> None:
        for cell in self.cells.values():
            for output in cell.outputs:
                if output.get("display_id") == display_id:
                    output["data"] = {"text/plain": text}

    def clear(self, cell: str, wait: bool) -> None:
        if not wait:
            self.cells[cell].outputs = []
        self.cells[cell].clears = wait

    @property
    def shown(self) -> list[list[dict[str, Any]]]:
        return [
            [{k: v for k, v in output.items() if k != "display_id"} for output in cell.outputs]
            for cell in self.cells.values()
        ]


_cells = st.sampled_from(CELLS)
_texts = st.sampled_from(["a", "line\n", "x" * LIMIT, "é" * LIMIT, ""])
_ids = st.sampled_from(["one", "two", None])
_steps = st.one_of(
    st.tuples(st.just("print"), _cells, st.sampled_from(["stdout", "stderr"]), _texts),
    st.tuples(st.just("show"), _cells, _texts, _ids),
    st.tuples(st.just("update"), _texts, st.sampled_from(["one", "two"])),
    st.tuples(st.just("clear"), _cells, st.booleans()),
    st.tuples(st.just("write")),
    st.tuples(st.just("resume")),
)


def fact_of(step: tuple[Any, ...]) -> facts.Fact:
    match step:
        case ("print", cell, name, text):
            return prints(text, cell, name)
        case ("show", cell, text, display_id):
            return shows({"text/plain": text}, cell, display_id)
        case ("update", text, display_id):
            transient = {"display_id": display_id}
            return says(
                "update_display_data",
                CELLS[0],
                data={"text/plain": text},
                metadata={},
                transient=transient,
            )
        case ("clear", cell, wait):
            return says("clear_output", cell, wait=wait)
    raise AssertionError(step)


@given(st.lists(_steps, max_size=40))
def test_cells_show_what_a_replay_shows(steps: list[tuple[Any, ...]]) -> None:
    """Also where it was written in between, or read again by another kmux."""
    folding, replay, store = new_folding(), Replay(), Store()
    for name in CELLS:
        folding.take(queued("1", name))
        folding.take(sent(name))
    for step in steps:
        if step[0] == "write":
            store.put(folding.settle())
        elif step[0] == "resume":
            if any(cell.clears for cell in replay.cells.values()):
                continue  # that something is to be cleared is not written down
            store.put(folding.settle())
            folding = Folding(folding.record, LIMIT)
        else:
            folding.take(fact_of(step))
            getattr(replay, step[0])(*step[1:])
    store.put(folding.settle())

    def fetch(large: Large) -> bytes:
        return store.get(large.sha256)

    shown = [as_notebook_outputs(e.outputs.items, fetch) for e in executions(folding)]
    assert shown == replay.shown


def test_of_many_displays_the_oldest_cannot_be_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN_DISPLAYS", 2)
    folding = new_folding()
    folding.take(queued("1", "a"))
    for display_id in ("one", "two", "three"):
        folding.take(shows({"text/plain": "old"}, "a", display_id))
    for display_id in ("one", "two", "three"):
        transient = {"display_id": display_id}
        data = {"text/plain": "new"}
        folding.take(says("update_display_data", "b", data=data, transient=transient))
    (execution,) = executions(folding)
    shown = [o.data["text/plain"] for o in execution.outputs.items if isinstance(o, Display)]
    assert shown == ["old", "new", "new"]


# Cells from their arrival to their end


def test_a_cell_from_its_arrival_to_its_end() -> None:
    folding = new_folding()
    folding.take(queued("1 + 1", "a", at=2.0))
    (execution,) = executions(folding)
    assert (execution.state, execution.queued, execution.started) == ("queued", 2.0, None)
    folding.take(sent("a", at=3.0))
    assert (execution.state, execution.started) == ("executing", 3.0)
    folding.take(says("execute_input", "a", code="1 + 1", execution_count=7))
    folding.take(says("execute_result", "a", data={"text/plain": "2"}, execution_count=7))
    folding.take(ended("a", "ok", at=4.0))
    assert (execution.state, execution.end, execution.completed) == ("complete", "ok", 4.0)
    assert (execution.execution_count, folding.record.kernel.execution_count) == (7, 7)
    assert (execution.client, execution.session, execution.code) == (ALICE, "frontend", "1 + 1")
    folding.take(prints("late", "a"))
    assert len(execution.outputs.items) == 2, "a thread of it may print on"


def test_two_clients_may_use_one_id() -> None:
    folding = new_folding()
    for client in (ALICE, BOB):
        folding.take(queued("1", "same", client=client))
    folding.take(sent("same", ALICE))
    folding.take(ended("same", "ok", ALICE))
    folding.take(sent("same", BOB))
    assert [(e.client, e.state) for e in executions(folding)] == [
        (ALICE, "complete"),
        (BOB, "executing"),
    ]
    folding.take(ended("same", "error", BOB))
    assert [e.end for e in executions(folding)] == ["ok", "error"]


def test_a_silent_request_is_no_execution() -> None:
    folding = new_folding()
    folding.take(queued("1", "a", silent=True))
    folding.take(prints("x", "a"))
    folding.take(ended("a"))
    assert executions(folding) == []


@pytest.mark.parametrize("cell", [{"code": 1}, {"code": "1", "silent": "no"}])
def test_a_request_that_is_none_is_no_execution(cell: dict[str, Any]) -> None:
    folding = new_folding()
    folding.take(queued(**{"msg_id": "a", "code": "", **cell}))
    assert executions(folding) == []


@pytest.mark.parametrize(
    ("metadata", "cell_id"),
    [({"cellId": "lab"}, "lab"), ({"cell_id": "nbclient"}, "nbclient"), ({}, None)],
)
def test_frontends_say_which_cell_it_is(metadata: dict[str, Any], cell_id: str | None) -> None:
    folding = new_folding()
    folding.take(queued("1", "a"))
    cell = queued("1", "b")
    message = type(cell.message)(
        cell.message.header,
        None,
        cell.message.raw_header,
        b"{}",
        str(metadata).replace("'", '"').encode(),
        cell.message.raw_content,
    )
    folding.take(facts.CellQueued(at=1.0, client=ALICE, message=message))
    assert [e.cell_id for e in executions(folding)] == [None, cell_id]


def test_a_cell_that_waited_over_a_restart_of_kmux_is_the_same_one() -> None:
    before = new_folding()
    for msg_id in ("goes on", "is gone"):
        before.take(queued("1", msg_id))
    folding = Folding(before.record, LIMIT)
    assert [(e.state, e.end) for e in executions(folding)] == [("complete", "lost")] * 2
    folding.take(queued("1", "goes on"))
    folding.take(sent("goes on"))
    folding.take(ended("goes on"))
    assert [(e.state, e.end) for e in executions(folding)] == [
        ("complete", "ok"),
        ("complete", "lost"),
    ]


def test_a_cell_that_its_kernel_leaves_is_lost_though_the_end_of_that_is_told_first() -> None:
    """A session tells that a kernel ended, and then what became of the cells that it had."""
    folding = new_folding()
    for fact in (queued("x", "a"), sent("a"), queued("y", "b")):
        folding.take(fact)
    folding.take(facts.KernelEnded(at=8.0, reason="it died"))
    for msg_id in ("a", "b"):
        folding.take(ended(msg_id, "lost", at=8.0))
    folding.take(facts.KernelBegan(at=9.0, found=False))
    assert [(e.state, e.end, e.completed) for e in executions(folding)] == [
        ("complete", "lost", 8.0)
    ] * 2
    folding.take(prints("too late", "a"))
    assert executions(folding)[0].outputs.items == []


def test_a_cell_that_came_before_kmux_ends_with_the_kernels_idle() -> None:
    folding = new_folding()
    folding.take(says("execute_input", "unknown", code="slow()", execution_count=3))
    folding.take(says("error", "unknown", ename="E", evalue="", traceback=[]))
    (execution,) = executions(folding)
    assert (execution.state, execution.client, execution.code) == ("executing", None, "slow()")
    busy = facts.Present(execution_state="busy", clients={}, queue=(), holders=None)
    folding.be(busy)
    assert execution.state == "executing"
    folding.be(facts.Present(execution_state="idle", clients={}, queue=(), holders=None))
    assert (execution.state, execution.end) == ("complete", "error")


# Kernels


def test_another_kernel_has_no_comms_and_none_of_the_cells_of_before() -> None:
    folding = new_folding()
    folding.take(info("first"))
    folding.take(queued("1", "a"))
    folding.take(sent("a"))
    folding.take(opens("c", {"value": 1}))
    folding.take(facts.KernelEnded(at=8.0, reason="it died"))
    assert folding.record.kernel.ended == "it died"
    assert folding.record.comms["c"].closed == 8.0
    folding.take(facts.KernelBegan(at=9.0, found=False))
    folding.take(prints("of another kernel", "a"))
    kernel = folding.record.kernel
    assert (kernel.number, kernel.began, kernel.ended) == (2, 9.0, None)
    assert executions(folding)[0].outputs.items == []
    folding.take(info("second"))
    assert (kernel.session, folding.record.language) == ("second", "python")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"language_info": 1}', b"\xff"])
def test_a_kernel_that_does_not_say_its_language_has_none(content: bytes) -> None:
    folding = new_folding()
    folding.take(facts.KernelTold(at=1.0, session="k", content=content))
    assert (folding.record.language, folding.record.kernel.session) == ("", "k")


# Comms


class Models:
    """Comms, as a dictionary has them."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.closed: set[str] = set()

    def open(self, comm_id: str, state: dict[str, Any]) -> None:
        self.states[comm_id] = dict(state)
        self.closed.discard(comm_id)

    def change(self, comm_id: str, state: dict[str, Any]) -> None:
        if comm_id in self.states and comm_id not in self.closed:
            self.states[comm_id] |= state

    def close(self, comm_id: str) -> None:
        if comm_id in self.states:
            self.closed.add(comm_id)


_comms = st.sampled_from(["c1", "c2"])
_values = st.sampled_from([0, None, "text", "x" * LIMIT, [1, {"a": 2}], b"\x00\xff", b"b" * LIMIT])
_states = st.dictionaries(st.sampled_from(["value", "other"]), _values, max_size=2)
_comm_steps = st.one_of(
    st.tuples(st.just("open"), _comms, _states),
    st.tuples(st.just("change"), _comms, _states),
    st.tuples(st.just("close"), _comms),
    st.tuples(st.just("write")),
)


def split(state: dict[str, Any]) -> dict[str, Any]:
    """What is binary goes into buffers, as ipywidgets sends it."""
    binary = {key: value for key, value in state.items() if isinstance(value, bytes)}
    return {
        "state": {key: value for key, value in state.items() if key not in binary},
        "paths": [[key] for key in binary],
        "buffers": tuple(binary.values()),
    }


def state_of(folding: Folding, comm_id: str, store: Store) -> dict[str, Any]:
    """A widget's state as who reads the document has it: what it was opened with, overlaid."""
    comm = folding.record.comms[comm_id]
    raw = store.get(comm.content.sha256) if isinstance(comm.content, Large) else comm.content.text
    opened = as_json(raw.encode() if isinstance(raw, str) else raw)["data"]["state"]
    state = {key: opened[key] for key in comm.base}
    for key, (value, buffers) in comm.values.items():
        if buffers:
            ((path, large),) = buffers
            assert as_json(path.encode()) == [key]
            state[key] = store.get(large.sha256)
        elif value is not None:
            text = store.get(value.sha256) if isinstance(value, Large) else value.text.encode()
            state[key] = as_json(text)
    return state


@given(st.lists(_comm_steps, max_size=30))
def test_widgets_are_what_a_dictionary_would_be(steps: list[tuple[Any, ...]]) -> None:
    folding, models, store = new_folding(), Models(), Store()
    for step in steps:
        match step:
            case ("open", comm_id, state):
                folding.take(opens(comm_id, **split(state)))
                models.open(comm_id, state)
            case ("change", comm_id, state):
                if comm_id in models.closed:
                    continue  # the session tells nothing of one that is closed
                folding.take(changes(comm_id, **split(state)))
                models.change(comm_id, state)
            case ("close", comm_id):
                folding.take(closes(comm_id))
                models.close(comm_id)
            case _:
                store.put(folding.settle())
    store.put(folding.settle())
    comms = folding.record.comms
    assert list(comms) == list(models.states)
    assert {comm_id for comm_id, comm in comms.items() if comm.closed is not None} == models.closed
    for comm_id, state in models.states.items():
        assert state_of(folding, comm_id, store) == state
    numbers = [comm.number for comm in comms.values()]
    assert numbers == sorted(set(numbers))


def test_only_keys_that_changed_are_to_be_written() -> None:
    folding = new_folding()
    folding.take(opens("c", {"value": 1, "other": 2}))
    folding.changed_comms.clear()
    folding.take(changes("c", {"value": 1}))
    assert folding.changed_comms == {}
    folding.take(changes("c", {"value": 3, "other": 2}))
    assert folding.record.comms["c"].changed_keys == {"value"}


def test_who_uses_a_comm_is_present_state() -> None:
    folding = new_folding()
    folding.take(opens("c", {"value": 1}))
    folding.changed_comms.clear()
    held = facts.Present(
        execution_state="idle",
        clients={ALICE: 1.0},
        queue=(),
        holders={"c": (ALICE,), "unknown": ()},
    )
    folding.be(held)
    assert folding.record.comms["c"].holders == (ALICE,)
    assert list(folding.changed_comms) == ["c"]
    folding.changed_comms.clear()
    folding.be(held)
    assert folding.changed_comms == {}
    folding.take(closes("c"))
    assert folding.record.comms["c"].holders == ()


def test_that_nothing_changed_is_known() -> None:
    folding = new_folding()
    present = facts.Present(
        execution_state="busy",
        clients={ClientId((b"zmq", b"a")): 1.0},
        queue=(),
        holders=None,
    )
    folding.be(present)
    folding.changed_session = False
    folding.be(present)
    assert not folding.changed_session


# All of it


@given(any_facts, any_facts)
def test_nothing_is_to_be_stored_twice(one: list[facts.Fact], other: list[facts.Fact]) -> None:
    folding, store = new_folding(), Store()
    for happened in (one, other):
        for fact in happened:
            folding.take(fact)
        wanted = folding.settle()
        assert len({id(large) for large in wanted}) == len(wanted)
        store.put(wanted)
        assert folding.settle() == []
    assert list(folding.record.executions) == sorted(folding.record.executions)
    for execution in executions(folding):
        for output in execution.outputs.items:
            assert not isinstance(output, Stream) or not output.pending
