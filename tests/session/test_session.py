"""What a shared kernel is, as conversations: who says what, and what follows."""

from __future__ import annotations

import pytest

from proxy.message import Message
from proxy.session.commands import (
    ToAll,
    ToClient,
    ToSubscriber,
)
from proxy.session.events import Event, RestartRequested, ShuttingDown
from tests.messages import as_json, cell, message, published, reply, request, status, stream
from tests.session.playbook import (
    CONTROL,
    SHELL,
    Frontend,
    Playbook,
    answer_to,
    answered,
    asks_again,
    fires,
    kernel,
    kernel_info,
    logs,
    prompt_for,
    question_of,
    says_status,
    starts_timer,
    subscribes,
    to_all,
    to_client,
    to_kernel,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
away = Frontend("away", b"\x00\x01\x02\x03\x04")
"""A frontend with an identity that libzmq made up."""


# Requests and replies


def test_a_cell_runs_and_everybody_sees_it() -> None:
    asked = cell("print(1)")
    busy, printed, idle = status("busy", asked), stream("1", asked), status("idle", asked)
    done = reply(asked, execution_count=1)
    with_a_kernel().when(alice.sends(asked)).expect(to_kernel(asked, alice)).when(
        kernel.publishes(busy), kernel.publishes(printed)
    ).expect(to_all(busy), to_all(printed)).when(kernel.answers(alice, done)).expect(
        to_client(alice, done)
    ).when(kernel.publishes(idle)).expect(to_all(idle))


def test_a_cell_still_runs_when_something_else_is_done() -> None:
    """The kernel does on control while a cell runs; JupyterLab believes its last status."""
    running, asked = cell("long"), request("debug")
    busy, idle = status("busy", asked), status("idle", asked)
    playbook = with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(asked)).when(kernel.publishes(busy)).expect(to_all(busy))
    playbook.when(kernel.publishes(idle)).expect(to_all(idle), says_status("busy", running))
    ended = status("idle", running)
    playbook.when(kernel.publishes(ended)).expect(to_all(ended), starts_timer("queue"))


@pytest.mark.parametrize("echoes", [True, False], ids=["echo", "no echo"])
def test_two_clients_with_equal_msg_ids_get_their_own_replies(echoes: bool) -> None:
    a, b = request("complete", "1", code="a"), request("complete", "1", code="b")
    to_a, to_b = reply(a, who="a"), reply(b, who="b")
    with_a_kernel().when(alice.sends(a), bob.sends(b)).expect(
        to_kernel(a, alice), to_kernel(b, bob)
    ).when(kernel.answers(alice, to_a, echoes=echoes)).expect(to_client(alice, to_a)).when(
        kernel.answers(bob, to_b, echoes=echoes)
    ).expect(to_client(bob, to_b))


def test_with_the_prefix_given_back_equal_msg_ids_may_be_answered_in_any_order() -> None:
    a, b = request("complete", "1", code="a"), request("complete", "1", code="b")
    to_a, to_b = reply(a), reply(b)
    with_a_kernel().when(alice.sends(a), bob.sends(b)).when(kernel.answers(bob, to_b)).expect(
        to_client(bob, to_b)
    ).when(kernel.answers(alice, to_a)).expect(to_client(alice, to_a))


@pytest.mark.parametrize("echoes", [True, False], ids=["echo", "no echo"])
def test_a_reply_of_a_wrong_type_goes_to_who_asked(echoes: bool) -> None:
    """tslab answers comm_info_request with complete_reply."""
    asked = request("history")
    wrong = reply(asked, "complete_reply", matches=[])
    with_a_kernel().when(alice.sends(asked)).when(
        kernel.answers(alice, wrong, echoes=echoes)
    ).expect(to_client(alice, wrong))


def test_a_message_that_is_no_reply_may_come_on_shell() -> None:
    """Deno refuses a comm with a comm_close on shell; the reply proper can still follow."""
    opened = message("comm_open", {"comm_id": "1", "target_name": "x", "data": {}})
    closed = message("comm_close", {"comm_id": "1"}, parent=opened, session="kernel")
    with_a_kernel().when(alice.sends(opened)).when(
        kernel.answers(alice, closed, on=SHELL, echoes=False)
    ).expect(to_client(alice, closed, on=SHELL))


def test_a_reply_comes_back_on_the_channel_of_its_request() -> None:
    asked = request("debug", command="x")
    answer = reply(asked)
    with_a_kernel().when(alice.sends(asked, CONTROL)).expect(to_kernel(asked, alice, CONTROL)).when(
        kernel.answers(alice, answer, CONTROL)
    ).expect(to_client(alice, answer, CONTROL))


def test_a_reply_to_what_was_asked_before_kmux_was_restarted_is_routed_by_its_prefix() -> None:
    long_ago = cell()
    done = reply(long_ago)
    with_a_kernel().when(kernel.answers(alice, done)).expect(to_client(alice, done))


def test_a_reply_that_nobody_can_be_named_for_is_logged() -> None:
    with_a_kernel().when(kernel.answers(alice, reply(cell()), echoes=False)).expect(
        logs("message.unroutable")
    ).when(kernel.answers(alice, message("execute_reply", {}), echoes=False)).expect(
        logs("message.unroutable")
    )


def test_a_request_that_is_never_answered_harms_nobody() -> None:
    unanswered, asked = request("nobody_knows"), cell()
    done = reply(asked)
    with_a_kernel().when(alice.sends(unanswered), bob.sends(asked)).when(
        kernel.publishes(status("busy", unanswered)), kernel.publishes(status("idle", unanswered))
    ).when(kernel.answers(bob, done)).expect(to_client(bob, done))


def test_the_kernels_own_welcome_is_for_kmux() -> None:
    with_a_kernel().when(kernel.publishes(published("iopub_welcome", subscription=""))).expect()


# stdin


def asks_for_input(frontend: Frontend = alice) -> tuple[Playbook, Message, Message]:
    asked = cell("input()")
    prompt = prompt_for(asked)
    playbook = with_a_kernel().when(frontend.sends(asked), kernel.publishes(status("busy", asked)))
    playbook.when(kernel.answers(frontend, prompt)).expect(to_client(frontend, prompt))
    return playbook, asked, prompt


@pytest.mark.parametrize("echoes", [True, False], ids=["echo", "no echo"])
def test_a_prompt_goes_to_who_asked_and_the_answer_back(echoes: bool) -> None:
    a, b = cell("input()"), cell("2")
    prompt = prompt_for(a)
    answer = answer_to(prompt)
    with_a_kernel().when(alice.sends(a), bob.sends(b), kernel.publishes(status("busy", a))).when(
        kernel.answers(alice, prompt, echoes=echoes)
    ).expect(to_client(alice, prompt)).when(alice.sends(answer)).expect(to_kernel(answer, alice))


def test_only_the_first_answer_of_who_was_asked_counts() -> None:
    playbook, _, prompt = asks_for_input()
    first, second, others = (answer_to(prompt, value) for value in "123")
    playbook.when(bob.sends(others)).expect(logs("stdin.answer_ignored")).when(
        alice.sends(first)
    ).expect(to_kernel(first, alice)).when(alice.sends(second)).expect(logs("stdin.answer_ignored"))


def test_a_cell_may_ask_again() -> None:
    playbook, asked, prompt = asks_for_input()
    first, prompt_2 = answer_to(prompt), prompt_for(asked, "and? ")
    second = answer_to(prompt_2)
    playbook.when(alice.sends(first)).expect(to_kernel(first, alice)).when(
        kernel.answers(alice, prompt_2)
    ).expect(to_client(alice, prompt_2)).when(alice.sends(second)).expect(to_kernel(second, alice))


def test_a_prompt_waits_for_who_is_away_and_is_shown_when_it_is_back() -> None:
    playbook, _, prompt = asks_for_input()
    answer = answer_to(prompt)
    playbook.when(alice.does_not_get(prompt)).expect(starts_timer("mailbox")).when(
        alice.returns()
    ).expect(to_client(alice, prompt)).when(alice.sends(answer)).expect(to_kernel(answer, alice))


def test_a_timer_tries_again_since_a_console_at_a_prompt_says_nothing() -> None:
    playbook, _, prompt = asks_for_input()
    playbook.when(alice.does_not_get(prompt)).expect(starts_timer("mailbox"))
    for _ in range(3):
        playbook.when(fires("mailbox")).expect(to_client(alice, prompt)).when(
            alice.does_not_get(prompt)
        ).expect(starts_timer("mailbox"))
    playbook.when(fires("mailbox")).expect(to_client(alice, prompt)).when(fires("mailbox")).expect()


def test_a_prompt_that_was_lost_with_a_connection_is_shown_again() -> None:
    playbook, _, prompt = asks_for_input()
    playbook.when(bob.returns()).expect().when(alice.returns()).expect(asks_again(alice, prompt))


def test_also_when_something_else_waited_for_it() -> None:
    playbook, _, prompt = asks_for_input()
    other = reply(request("complete"))
    playbook.when(alice.does_not_get(other)).when(alice.returns())
    sent = [command.message.msg_id for command in playbook.of_kind(ToClient)]
    assert sorted(sent) == sorted([other.msg_id, prompt.msg_id])


def test_a_prompt_is_withdrawn_when_its_cell_is_done_without_it() -> None:
    """The cell was interrupted."""
    playbook, asked, prompt = asks_for_input()
    idle = status("idle", asked)
    playbook.when(alice.does_not_get(prompt)).when(kernel.publishes(idle)).expect(
        to_all(idle), starts_timer("queue")
    ).when(alice.returns()).expect().when(fires("mailbox")).expect().when(
        alice.sends(answer_to(prompt))
    ).expect(logs("stdin.answer_ignored"))


@pytest.mark.parametrize("end", [kernel.dies(), RestartRequested(at=0)], ids=["death", "restart"])
def test_so_it_is_when_the_kernel_is_gone(end: Event) -> None:
    playbook, _, prompt = asks_for_input()
    playbook.when(alice.does_not_get(prompt)).when(end).when(alice.returns())
    playbook.expect().when(fires("mailbox")).expect()


def test_a_prompt_that_nobody_asked_for_is_logged() -> None:
    with_a_kernel().when(kernel.answers(alice, prompt_for(cell()), echoes=False)).expect(
        logs("message.unroutable")
    )


def test_a_prompt_of_a_cell_from_before_kmux_was_restarted_finds_its_client() -> None:
    prompt = prompt_for(cell())
    with_a_kernel().when(kernel.answers(alice, prompt)).expect(to_client(alice, prompt))


# kmux speaks like the kernel


def test_made_up_messages_are_the_kernels_own_by_their_headers() -> None:
    """JupyterLab drops queued messages of another session."""
    asked = request("kernel_info")
    playbook = with_a_kernel().when(bob.sends(asked), subscribes())
    made = [c.message for c in playbook.done if isinstance(c, ToAll | ToClient | ToSubscriber)]
    assert len({m.msg_id for m in made}) == len(made) == 5
    for one in made:
        header = as_json(one.raw_header)
        assert header["session"] == "kernel"
        assert header["username"] == "someone"
        assert header["msg_id"] == one.msg_id
        assert one.header.session == "kernel"
    assert all(m.raw_parent == asked.raw_header for m in made[:3])


def test_a_restarted_kernel_is_spoken_for_under_its_new_session() -> None:
    playbook = with_a_kernel().when(RestartRequested(at=0)).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    busy = message(
        "status", {"execution_state": "busy"}, parent=question, session="kernel 2", topic=b"x"
    )
    answer = message("kernel_info_reply", kernel_info(), parent=question, session="kernel 2")
    playbook.when(kernel.publishes(busy), kernel.answers(None, answer)).when(subscribes())
    assert {c.message.header.session for c in playbook.of_kind(ToSubscriber)} == {"kernel 2"}


def test_a_session_is_ended_once_and_stays_so() -> None:
    playbook = with_a_kernel().when(ShuttingDown(at=0)).when(kernel.dies()).expect()
    assert playbook.session.ended
    asked = cell()
    playbook.when(alice.sends(asked)).expect(answered(alice, asked, status="error")).when(
        RestartRequested(at=0)
    ).expect()
