"""What a session tells of itself while a conversation goes on."""

from __future__ import annotations

from typing import Any

from proxy.message import Message
from proxy.session import facts
from proxy.session.commands import Record, ToAll
from proxy.session.events import Event, TurnEnded
from proxy.session.session import Session
from tests.messages import cell, message, published, reply, status, stream
from tests.session.comm_messages import comm_close, comm_msg, comm_open
from tests.session.playbook import Frontend, Playbook, kernel, launch, play

alice, bob = Frontend("alice"), Frontend("bob")


class Told:
    """A session with a kernel, and the facts that it told."""

    def __init__(self) -> None:
        self.playbook: Playbook = launch(play(Session("kmux-1", records=True)))
        self.facts: list[facts.Fact] = []

    def when(self, *events: Event) -> list[facts.Fact]:
        """Return the facts that come of these events."""
        self.playbook.when(*events)
        told = [f for c in self.playbook.done if isinstance(c, Record) for f in c.facts]
        self.facts += told
        return told


def kinds(told: list[facts.Fact]) -> list[str]:
    return [type(fact).__name__ for fact in told]


def test_a_cell_is_told_from_its_arrival_to_its_end() -> None:
    told, running, waiting = Told(), cell("1"), cell("2")
    assert kinds(told.when(alice.sends(running))) == ["CellQueued", "CellSent"]
    assert kinds(told.when(bob.sends(waiting))) == ["CellQueued"]
    printed = stream("out", running)
    (fact,) = told.when(kernel.publishes(status("busy", running)), kernel.publishes(printed))
    assert fact == facts.Published(at=fact.at, message=printed)
    ended, sent = told.when(kernel.answers(alice, reply(running, status="ok")))
    assert isinstance(ended, facts.CellEnded)
    assert (ended.client, ended.msg_id, ended.end) == (alice.id, running.msg_id, "ok")
    assert isinstance(sent, facts.CellSent)
    assert sent.client == bob.id


def test_cells_that_an_error_takes_with_it_are_told_as_aborted() -> None:
    told, running, own = Told(), cell("1/0"), cell("own")
    told.when(alice.sends(running), alice.sends(own))
    ended = told.when(kernel.answers(alice, reply(running, status="error")))
    assert [f.end for f in ended if isinstance(f, facts.CellEnded)] == ["error", "aborted"]


def test_comms_are_told_as_they_are_folded() -> None:
    told = Told()
    told.when(alice.returns())
    opened = comm_open(state={"value": 1}, buffer_paths=[])
    (fact,) = told.when(kernel.publishes(opened))
    assert isinstance(fact, facts.CommOpened)
    assert (fact.comm_id, fact.opener, fact.message) == ("1", None, opened)
    assert kinds(told.when(kernel.publishes(comm_msg(method="update", state={"value": 2})))) == [
        "CommChanged"
    ]
    assert told.when(kernel.publishes(comm_msg(method="custom"))) == []
    assert kinds(told.when(kernel.publishes(comm_close()))) == ["CommClosed"]
    assert told.when(kernel.publishes(comm_close())) == [], "once"


def test_outputs_and_comm_messages_are_told_in_the_order_in_which_they_came() -> None:
    """An Output widget takes what is shown between two comm messages."""
    told, running = Told(), cell("1")
    told.when(alice.sends(running), kernel.publishes(status("busy", running)))
    hooks, unhooks = (comm_msg(method="update", state={"msg_id": i}) for i in ("x", ""))
    turn = [stream("a", running), comm_open(state={"msg_id": ""}), hooks]
    turn += [stream("b", running), unhooks, stream("c", running)]
    session = told.playbook.session
    commands = [c for m in turn for c in session.handle(kernel.publishes(m))]
    commands += session.handle(TurnEnded(at=0))
    assert kinds([f for c in commands if isinstance(c, Record) for f in c.facts]) == [
        *("Published", "CommOpened", "CommChanged", "Published", "CommChanged", "Published")
    ]
    assert [c.message for c in commands if isinstance(c, ToAll)] == turn


def test_what_came_right_before_a_kernel_died_is_told() -> None:
    told, running = Told(), cell("1")
    told.when(alice.sends(running), kernel.publishes(status("busy", running)))
    session = told.playbook.session
    for said in (comm_open(state={"value": 1}), stream("last words", running)):
        session.handle(kernel.publishes(said))
    facts_ = [f for c in session.handle(kernel.dies()) if isinstance(c, Record) for f in c.facts]
    assert kinds(facts_)[:3] == ["CommOpened", "Published", "KernelEnded"]


def test_a_kernel_that_dies_takes_with_it_what_it_had() -> None:
    told, running = Told(), cell("1")
    told.when(alice.sends(running), kernel.publishes(status("busy", running)))
    assert kinds(told.when(kernel.dies()))[:2] == ["KernelEnded", "CellEnded"]
    assert kinds(told.when(kernel.launches())) == ["KernelBegan"]


def test_the_kernel_is_told_of_once_it_has_said_what_it_is() -> None:
    playbook = play(Session("kmux-1", records=True))
    told = []
    playbook.when(kernel.launches())
    told += [f for c in playbook.done if isinstance(c, Record) for f in c.facts]
    assert kinds(told) == ["KernelBegan"]


def test_without_a_record_nothing_is_told() -> None:
    playbook = launch(play(Session("kmux-1")))
    running = cell("1")
    playbook.when(alice.sends(running), kernel.publishes(stream("out", running)))
    assert not playbook.of_kind(Record)


def test_what_a_session_is_now() -> None:
    told, running, waiting = Told(), cell("1"), cell("2")
    told.when(alice.returns(), bob.returns(), alice.sends(running), bob.sends(waiting))
    told.when(kernel.publishes(status("busy", running)))
    present = told.playbook.session.present()
    assert present.execution_state == "busy"
    assert set(present.clients) == {alice.id, bob.id}
    assert present.queue == ((bob.id, waiting.msg_id),)
    assert present.holders is None
    told.when(kernel.publishes(comm_open(state={"value": 1})))
    told.when(bob.sends(comm_msg(method="update", state={"value": 2})))
    assert told.playbook.session.present().holders == {"1": (bob.id,)}
    assert told.playbook.session.present().holders is None, "nothing changed since"


def test_what_is_no_output_is_not_told() -> None:
    told = Told()
    odd: list[Message] = [published("debug_event"), message("iopub_welcome", {})]
    anything: Any = [f for m in odd for f in told.when(kernel.publishes(m))]
    assert anything == []
