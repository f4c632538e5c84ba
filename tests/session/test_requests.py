"""Whose request is it, and when is it forgotten?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message import Channel, ClientId, Message
from proxy.session import requests as module
from proxy.session.requests import MAX_RETIRED, Request, Requests, reply_type
from tests.messages import cell, message, reply, request

ALICE, BOB = ClientId((b"zmq", b"alice")), ClientId((b"zmq", b"bob"))
SHELL = Channel.SHELL


def answered_by(requests: Requests, message: Message, prefix: tuple[bytes, ...]) -> Request | None:
    """Route a message of the kernel as the session does; a reply answers its request."""
    found = requests.of(message, prefix)
    if found is not None and message.msg_type.endswith("_reply"):
        requests.answered(found)
    return found


def test_a_request_is_forgotten_when_it_is_answered_and_idled_in_either_order() -> None:
    for answer_first in (True, False):
        requests = Requests()
        asked = cell()
        entry = requests.add(ALICE, SHELL, asked)
        steps = [
            lambda r=requests, a=asked: answered_by(r, reply(a), ()),
            lambda r=requests, a=asked: r.idled(a.msg_id),
        ]
        steps = steps if answer_first else steps[::-1]
        steps[0]()
        assert len(requests) == 1
        assert (entry.answered, entry.idled) == (answer_first, not answer_first)
        steps[1]()
        assert len(requests) == 0
        assert answered_by(requests, reply(asked), ()) is None


def test_what_is_no_reply_does_not_answer() -> None:
    requests = Requests()
    asked = cell()
    requests.add(ALICE, SHELL, asked)
    prompt = message("input_request", parent=asked)
    assert answered_by(requests, prompt, ()) is not None
    assert [waiting.origin for waiting in requests.waiting()] == [asked.origin]


def test_a_message_without_a_parent_or_with_a_strange_one_is_nobodys() -> None:
    requests = Requests()
    requests.add(ALICE, SHELL, cell())
    assert answered_by(requests, message("execute_reply"), tuple(ALICE)) is None
    assert answered_by(requests, reply(cell()), tuple(ALICE)) is None


def test_waiting_are_those_that_expect_a_reply_in_the_order_of_asking() -> None:
    requests = Requests()
    first, second, third = cell(), request("complete"), cell()
    requests.add(ALICE, SHELL, first)
    requests.add(ALICE, SHELL, message("comm_msg"))
    requests.add(BOB, SHELL, second)
    requests.add(ALICE, Channel.CONTROL, third)
    answered_by(requests, reply(second), ())
    assert [entry.origin for entry in requests.waiting()] == [first.origin, third.origin]


def test_equal_msg_ids_are_told_apart_by_prefix_and_else_by_order() -> None:
    for prefix, expected in [
        (tuple(ALICE), ALICE),
        (tuple(BOB), BOB),
        ((), ALICE),
        ((b"x",), ALICE),
    ]:
        requests = Requests()
        first, second = cell(msg_id="1"), cell(msg_id="1")
        requests.add(ALICE, SHELL, first)
        requests.add(BOB, SHELL, second)
        found = answered_by(requests, reply(second), prefix)
        assert found is not None
        assert found.client == expected
        other = answered_by(requests, reply(first), ())
        assert other is not None
        assert other.client != expected, "the next one without a prefix is the other's"


def test_the_type_of_a_reply_is_that_of_its_request() -> None:
    assert reply_type(cell().origin) == "execute_reply"


def test_what_is_never_answered_or_never_idled_is_kept_up_to_a_bound() -> None:
    """Comm messages have no reply; Deno sends no idle for what comes on control."""
    requests = Requests()
    sent = [message("comm_msg") for _ in range(MAX_RETIRED + 10)]
    for comm in sent:
        requests.add(ALICE, SHELL, comm)
        requests.idled(comm.msg_id)
    assert len(requests) == MAX_RETIRED
    assert requests.of(message("x", parent=sent[9]), ()) is None, "the oldest go first"
    assert requests.of(message("x", parent=sent[10]), ()) is not None


def test_what_still_waits_is_never_dropped_for_what_is_done() -> None:
    requests = Requests()
    waiting = cell()
    requests.add(ALICE, SHELL, waiting)
    for _ in range(2 * MAX_RETIRED):
        done = message("comm_msg")
        requests.add(BOB, SHELL, done)
        requests.idled(done.msg_id)
    assert answered_by(requests, reply(waiting), ()) is not None


def test_it_is_full_when_too_many_wait_and_has_room_when_one_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 3)
    requests = Requests()
    sent = [cell() for _ in range(3)]
    for asked in sent:
        assert not requests.full
        requests.add(ALICE, SHELL, asked)
    assert requests.full
    answered_by(requests, reply(sent[0]), ())
    assert not requests.full


def test_an_answer_of_kmux_itself_counts() -> None:
    requests = Requests()
    asked = request("interrupt")
    entry = requests.add(ALICE, Channel.CONTROL, asked)
    assert requests.answered(entry)
    assert not requests.answered(entry), "it has one answer"
    assert list(requests.waiting()) == []
    requests.idled(asked.msg_id)
    assert len(requests) == 0


def test_a_kernel_that_is_gone_leaves_nothing() -> None:
    requests = Requests()
    done, asked = message("comm_msg"), cell()
    requests.add(ALICE, SHELL, done)
    requests.idled(done.msg_id)
    requests.add(ALICE, SHELL, asked)
    requests.clear()
    assert len(requests) == 0
    assert not requests.full
    assert requests.of(reply(asked), tuple(ALICE)) is None


actions = st.lists(
    st.tuples(
        st.sampled_from(["ask", "comm", "answer", "idle", "answer twice"]),
        st.integers(0, 5),
        st.sampled_from([ALICE, BOB]),
        st.booleans(),
    ),
    max_size=60,
)


@given(actions=actions)
def test_it_agrees_with_a_plain_list(actions: list[tuple[str, int, ClientId, bool]]) -> None:
    """A model: all requests ever made, each with two flags; nothing is ever removed."""
    requests = Requests()
    model: list[tuple[Request, Message]] = []
    for what, number, client, echoes in actions:
        if what in ("ask", "comm"):
            kind = "execute_request" if what == "ask" else "comm_msg"
            asked = message(kind, msg_id=f"{what} {number}")
            model.append((requests.add(client, SHELL, asked), asked))
            continue
        parent = message("execute_request", msg_id=f"ask {number}")
        live = [
            entry
            for entry, asked in model
            if asked.msg_id == parent.msg_id and not (entry.answered and entry.idled)
        ]
        if what == "idle":
            unidled = next((entry for entry in live if not entry.idled), None)
            requests.idled(parent.msg_id)
            assert unidled is None or unidled.idled
            continue
        own = [entry for entry in live if entry.client == client] if echoes else []
        pool = own or live
        expected = next((e for e in pool if not e.answered), pool[0] if pool else None)
        prefix = tuple(client) if echoes else ()
        assert answered_by(requests, reply(parent), prefix) is expected
        assert expected is None or expected.answered
    kept = [entry for entry, _ in model if not (entry.answered and entry.idled)]
    assert len(requests) == len(kept)
    still = [e for e, asked in model if not e.answered and asked.msg_type == "execute_request"]
    assert set(requests.waiting()) == set(still)
