"""Clients at the door: who comes, who leaves, who is away, who wants the kernel ended."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from proxy.message import Message
from proxy.session.commands import (
    EndSession,
    Goodbye,
    RestartKernel,
    SignalKernel,
    ToClient,
    ToKernel,
    ToSubscriber,
)
from proxy.session.events import ClientLeft, ShuttingDown, Subscribed
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from tests.messages import as_json, cell, message, published, reply, request, status, stream
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Playbook,
    answer_to,
    answered,
    answers,
    asks_again,
    asks_kernel,
    fires,
    kernel,
    launch,
    logs,
    play,
    prompt_for,
    says_status,
    starts_timer,
    subscribes,
    to_client,
    to_kernel,
    to_subscriber,
    true_status,
    true_status_but,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
away = Frontend("away", b"\x00\x01\x02\x03\x04")
"""A frontend with an identity that libzmq made up."""


# Shutdown


def test_a_clients_shutdown_detaches_it_and_the_kernel_hears_nothing() -> None:
    asked = request("shutdown", restart=False)
    with_a_kernel().when(bob.sends(asked)).expect(answered(bob, asked, status="ok", restart=False))


def test_a_clients_restart_is_a_restart_for_all() -> None:
    """Who asked is answered before the kernel is told; the others' requests are answered too."""
    running, asked = cell("while True: pass"), request("shutdown", restart=True)
    with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running))).when(
        bob.sends(asked)
    ).expect(
        answered(bob, asked, status="ok", restart=True),
        says_status("busy", running),
        answers(alice, running, status="error", ename="KernelRestarted"),
        says_status("idle", running),
        true_status("restarting"),
        asks_kernel("shutdown_request", CONTROL, restart=True),
        RestartKernel(),
    )


def test_a_frontend_that_started_it_is_not_told_of_its_own_restart() -> None:
    """JupyterLab would say that the kernel has died, and connect anew while its server does."""
    asked = request("shutdown", restart=True)
    playbook = with_a_kernel(policy=Policy(owner_ends=False))
    playbook.when(alice.returns(owner=True), alice.sends(asked)).expect(
        answered(alice, asked, status="ok", restart=True),
        true_status_but("restarting", alice),
        asks_kernel("shutdown_request", CONTROL, restart=True),
        RestartKernel(),
        Goodbye(alice.id, True),
    )
    playbook.when(Subscribed(at=0, subscriber=b"zmq"))
    (state,) = [
        as_json(c.message.raw_content)
        for c in playbook.of_kind(ToSubscriber)
        if c.message.msg_type == "status"
    ]
    assert state == {"execution_state": "starting"}, "nor is who comes"


@pytest.mark.parametrize("restart", [True, False])
def test_the_owners_shutdown_reaches_the_kernel_and_ends_the_session(restart: bool) -> None:
    asked = request("shutdown", restart=restart)
    answer = reply(asked, restart=restart)
    playbook = (
        with_a_kernel()
        .when(alice.returns(owner=True), alice.sends(asked))
        .expect(to_kernel(asked, alice), EndSession(restart))
    )
    assert playbook.session.ended
    playbook.when(kernel.answers(alice, answer)).expect(to_client(alice, answer)).when(
        kernel.dies("the kernel exited with status 0")
    ).expect()


def test_the_owners_shutdown_of_a_dead_kernel_is_answered_and_ends_the_session() -> None:
    asked = request("shutdown", restart=False)
    playbook = with_a_kernel(policy=Policy(restart_limit=0)).when(kernel.dies())
    playbook.when(alice.returns(owner=True), alice.sends(asked)).expect(
        answered(alice, asked, status="ok", restart=False), true_status("dead"), EndSession(False)
    )


def test_a_shutdown_with_content_that_is_no_object_means_detach() -> None:
    asked = message("shutdown_request")
    garbled = type(asked)(asked.header, None, asked.raw_header, b"{}", b"{}", b"[1, 2]")
    with_a_kernel().when(bob.sends(garbled)).expect(
        answered(bob, garbled, status="ok", restart=False)
    )


def test_when_the_session_ends_what_was_outstanding_is_answered() -> None:
    running, waiting = cell("running"), cell("waiting")
    playbook = with_a_kernel().when(
        alice.sends(running), bob.sends(waiting), kernel.publishes(status("busy", running))
    )
    playbook.when(ShuttingDown(at=0)).expect(
        answers(alice, running, status="error", ename="KernelEnded"),
        says_status("idle", running),
        says_status("busy", waiting),
        answers(bob, waiting, status="aborted"),
        says_status("idle", waiting),
        asks_kernel("shutdown_request", CONTROL, restart=False),
    )
    assert playbook.session.ended
    assert len(playbook.session.machines.requests) <= 1, "but for the question about the end"


def test_so_is_what_was_held() -> None:
    held, asked = cell(), request("kernel_info")
    playbook = play(Session("kmux-1")).when(alice.sends(held), bob.sends(asked))
    playbook.when(kernel.launches()).when(ShuttingDown(at=0))
    assert {command.client for command in playbook.of_kind(ToClient)} == {alice.id, bob.id}


# Who is away


def test_a_reply_waits_for_who_is_away() -> None:
    asked = cell()
    done = reply(asked)
    with_a_kernel().when(alice.sends(asked), kernel.answers(alice, done)).when(
        alice.does_not_get(done)
    ).expect(starts_timer("mailbox")).when(alice.returns()).expect(to_client(alice, done)).when(
        alice.returns()
    ).expect()


def test_who_has_no_identity_of_its_own_never_comes_back() -> None:
    done = reply(cell())
    with_a_kernel().when(away.does_not_get(done)).expect(logs("message.undeliverable"))


# New subscribers


def test_a_new_subscriber_is_welcomed_and_told_the_true_status() -> None:
    playbook = with_a_kernel()
    playbook.when(subscribes("newcomer")).expect(
        to_subscriber("newcomer", "iopub_welcome", subscription=""),
        to_subscriber("newcomer", "status", execution_state="idle"),
    )
    running = cell()
    playbook.when(alice.sends(running), kernel.publishes(status("busy", running))).when(
        subscribes("another")
    )
    welcome, busy = (command.message for command in playbook.of_kind(ToSubscriber))
    playbook.expect(
        to_subscriber("another", "iopub_welcome"),
        to_subscriber("another", "status", execution_state="busy"),
    )
    assert busy.raw_parent == running.raw_header
    assert welcome.parent is None


def test_before_the_kernel_is_up_the_true_status_is_starting() -> None:
    play(Session("kmux-1")).when(subscribes()).expect(
        to_subscriber("newcomer", "iopub_welcome"),
        to_subscriber("newcomer", "status", execution_state="starting"),
    )


@pytest.mark.parametrize("policy", ["owner", "refuse"])
def test_a_restart_is_refused_by_policy(policy: Literal["owner", "refuse"]) -> None:
    asked = request("shutdown", restart=True)
    with_a_kernel(policy=Policy(restart=policy)).when(alice.sends(asked)).expect(
        answered(alice, asked, status="error", ename="RestartRefused")
    )


# Who is gone


def leaves(frontend: Frontend) -> ClientLeft:
    return ClientLeft(at=0, client=frontend.id)


def prompted(policy: Policy) -> tuple[Playbook, Message]:
    """Alice's cell asks for input; bob is there as well."""
    asked = cell("input()")
    playbook = with_a_kernel(policy=policy).when(alice.returns(), bob.returns())
    playbook.when(alice.sends(asked), kernel.publishes(status("busy", asked)))
    prompt = prompt_for(asked)
    playbook.when(kernel.answers(alice, prompt)).expect(to_client(alice, prompt))
    return playbook, prompt


def test_who_is_away_for_too_long_is_gone() -> None:
    running, waiting = cell("running"), cell("waiting")
    playbook = with_a_kernel(policy=Policy(away_seconds=60)).when(alice.returns(), bob.returns())
    playbook.when(alice.sends(running), bob.sends(waiting))
    playbook.when(leaves(bob)).expect(starts_timer("away"))
    playbook.after(59).when(fires("away")).expect(starts_timer("away"))
    playbook.after(1).when(fires("away")).expect(answered(bob, waiting, status="aborted"))


def test_the_prompt_of_one_that_is_away_waits_for_it() -> None:
    playbook, prompt = prompted(Policy())
    playbook.when(leaves(alice)).expect(starts_timer("away"))
    playbook.when(alice.returns()).expect(asks_again(alice, prompt))


@pytest.mark.parametrize("said", [True, False], ids=["it said so", "it vanished"])
def test_a_cell_that_asks_one_that_is_gone_is_interrupted(said: bool) -> None:
    """Nobody can ever answer, and everybody else waits."""
    playbook, _ = prompted(Policy(away_seconds=60))
    if said:
        playbook.when(alice.sends(request("shutdown", restart=False)))
    else:
        playbook.when(leaves(alice)).after(60).when(fires("away"))
    assert playbook.of_kind(SignalKernel) == [SignalKernel()]


def test_by_policy_another_answers_for_who_is_away_and_the_first_answer_counts() -> None:
    playbook, prompt = prompted(Policy(prompts="anyone"))
    playbook.when(leaves(alice)).expect(to_client(bob, prompt), starts_timer("away"))
    carol = Frontend("carol")
    playbook.when(carol.returns()).expect(to_client(carol, prompt))
    playbook.when(carol.does_not_get(prompt)).expect(starts_timer("mailbox"))
    answer = answer_to(prompt)
    playbook.when(bob.sends(answer)).expect(to_kernel(answer, bob))
    playbook.when(carol.sends(answer_to(prompt))).expect()
    playbook.when(fires("mailbox")).expect()


@pytest.mark.parametrize("names_it", [True, False], ids=["JupyterLab", "jupyter_client"])
def test_a_late_answer_to_one_prompt_is_none_to_the_next(names_it: bool) -> None:
    playbook, first = prompted(Policy(prompts="anyone"))
    carol = Frontend("carol")
    playbook.when(leaves(alice), carol.returns(), bob.sends(answer_to(first)))
    assert first.parent is not None
    cell = msgspec.structs.replace(first, header=first.parent, raw_header=first.raw_parent)
    second = prompt_for(cell)
    playbook.when(kernel.answers(alice, second))
    late = answer_to(first) if names_it else message("input_reply", {"value": "x"})
    playbook.when(carol.sends(late)).expect()
    answer = answer_to(second) if names_it else message("input_reply", {"value": "y"})
    playbook.when(carol.sends(answer)).expect(to_kernel(answer, carol))


@pytest.mark.parametrize("policy", ["wait", "anyone"])
def test_a_cell_that_asks_when_its_client_is_gone_waits_for_nobody(
    policy: Literal["wait", "anyone"],
) -> None:
    asked = cell("input()")
    playbook = with_a_kernel(policy=Policy(prompts=policy)).when(away.returns(), bob.returns())
    playbook.when(away.sends(asked), kernel.publishes(status("busy", asked)), leaves(away))
    prompt = prompt_for(asked)
    playbook.when(kernel.answers(away, prompt)).expect(
        to_client(away, prompt), SignalKernel() if policy == "wait" else to_client(bob, prompt)
    )


def test_the_same_prompt_is_not_shown_twice_with_one_signature() -> None:
    playbook, prompt = prompted(Policy(prompts="anyone", away_seconds=10))
    playbook.when(leaves(alice)).after(11).when(fires("away")).expect()
    playbook.when(bob.returns()).expect(asks_again(bob, prompt))


def test_what_is_for_one_that_is_gone_is_not_kept() -> None:
    done = reply(cell())
    playbook = with_a_kernel().when(away.returns(), leaves(away)).when(away.does_not_get(done))
    playbook.expect()
    named = with_a_kernel(policy=Policy(away_seconds=0)).when(alice.returns(), leaves(alice))
    named.when(alice.does_not_get(done)).expect()


def test_one_that_says_goodbye_and_stays_holds_what_is_opened_later() -> None:
    playbook = with_a_kernel().when(alice.returns(), bob.returns())
    playbook.when(alice.sends(request("shutdown", restart=False))).after(1)
    content = {"comm_id": "w", "target_name": "jupyter.widget", "data": {"state": {}}}
    playbook.when(kernel.publishes(message("comm_open", content, session="kernel"))).after(60)
    closed = message("comm_close", {"comm_id": "w", "data": {}})
    playbook.when(bob.sends(closed)).expect(
        says_status("busy", closed), says_status("idle", closed), logs("comm.close_withheld")
    )


def test_what_was_held_of_one_that_is_gone_never_reaches_the_kernel() -> None:
    asked = cell()
    playbook = play(Session("kmux-1")).when(kernel.launches()).when(away.returns())
    playbook.when(away.sends(asked), leaves(away))
    launch(playbook)
    assert asked not in [command.message for command in playbook.of_kind(ToKernel)]


def test_by_policy_others_are_asked_at_once_where_it_left_before_the_cell_asked() -> None:
    asked = cell("input()")
    playbook = with_a_kernel(policy=Policy(prompts="anyone")).when(alice.returns(), bob.returns())
    playbook.when(alice.sends(asked), kernel.publishes(status("busy", asked)), leaves(alice))
    prompt = prompt_for(asked)
    playbook.when(kernel.answers(alice, prompt)).expect(
        to_client(alice, prompt), to_client(bob, prompt)
    )


def test_while_it_is_there_nobody_else_is_asked_or_answers() -> None:
    playbook, prompt = prompted(Policy(prompts="anyone"))
    playbook.when(bob.sends(answer_to(prompt))).expect()
    playbook.when(Frontend("carol").returns()).expect()


def test_replies_for_one_that_is_gone_are_not_kept() -> None:
    done = reply(cell())
    playbook = with_a_kernel(policy=Policy(away_seconds=60)).when(alice.returns(), leaves(alice))
    playbook.when(alice.does_not_get(done))
    playbook.after(60).when(fires("away")).expect(logs("message.undeliverable"))
    assert len(playbook.session.machines.mailbox) == 0


# Replay


def test_a_subscriber_that_asks_for_it_is_sent_what_it_missed() -> None:
    playbook = with_a_kernel()
    opens = [
        message(
            "comm_open",
            {"comm_id": c, "target_name": "jupyter.widget", "data": {"state": {"value": 0}}},
            session="kernel",
            metadata={"version": "2.1.0"},
        )
        for c in ("layout", "slider")
    ]
    update = {"method": "update", "state": {"value": 7}, "buffer_paths": [["raw"]]}
    moved = message(
        "comm_msg", {"comm_id": "slider", "data": update}, session="kernel", buffers=[b"\x00"]
    )
    playbook.when(*[kernel.publishes(m) for m in (*opens, moved)])
    running = cell("loop")
    inputs, printed = published("execute_input", running, code="loop"), stream("so far", running)
    own = message("comm_open", {"comm_id": "own", "target_name": "x", "data": {}})
    playbook.when(alice.sends(own), alice.sends(running))
    playbook.when(*[kernel.publishes(m) for m in (status("busy", running), inputs, printed)])
    playbook.when(Subscribed(at=0, subscriber="recorder", replay=True)).expect(
        to_subscriber("recorder", "iopub_welcome"),
        to_subscriber("recorder", "status", execution_state="busy"),
        to_subscriber("recorder", "comm_open", comm_id="layout"),
        to_subscriber("recorder", "comm_open", comm_id="slider"),
        ToSubscriber("recorder", inputs),
        ToSubscriber("recorder", printed),
    )
    playbook.when(Subscribed(at=0, subscriber="recorder", replay=True))
    slider = playbook.of_kind(ToSubscriber)[3].message
    assert slider.raw_header == opens[1].raw_header
    assert slider.metadata() == {"version": "2.1.0"}
    assert slider.content()["data"] == {"state": {"value": 7}, "buffer_paths": [["raw"]]}
    assert slider.buffers == (b"\x00",)
    playbook.when(kernel.publishes(status("idle", running)))
    playbook.when(Subscribed(at=0, subscriber="late", replay=True))
    assert inputs not in [c.message for c in playbook.of_kind(ToSubscriber)]
