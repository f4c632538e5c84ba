"""The kernel's life, as conversations: it starts, restarts, dies, ends."""

from __future__ import annotations

import msgspec

from proxy.message import Message
from proxy.session.commands import (
    EndSession,
    RestartKernel,
    StartTimer,
    ToAll,
    ToClient,
    ToKernel,
)
from proxy.session.events import RestartRequested
from proxy.session.lifecycle import RESTART_WINDOW_SECONDS, Policy
from proxy.session.session import Session
from proxy.session.startup import PROVE_ATTEMPTS
from tests.messages import as_json, cell, message, reply, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Pattern,
    Playbook,
    answered,
    answers,
    asks_kernel,
    fires,
    kernel,
    kernel_info,
    launch,
    logs,
    play,
    question_of,
    says_status,
    starts_timer,
    to_all,
    to_kernel,
    true_status,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
START = Policy(on_death="restart")
LIMIT_TWO = Policy(on_death="restart", restart_limit=2)


# Start


def test_a_kernel_is_proven_by_its_answer_and_by_being_heard() -> None:
    session = Session("kmux-1")
    asked = cell()
    playbook = play(session).when(alice.sends(asked)).expect()
    playbook.when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.expect(
        true_status("starting"), asks_kernel("kernel_info_request"), starts_timer("prove")
    )
    answer, busy = reply(question, **kernel_info()), status("busy", question)
    assert session.execution_state == "starting"
    playbook.when(kernel.answers(None, answer)).expect().when(kernel.publishes(busy)).expect(
        to_all(busy), to_kernel(asked, alice)
    )


def test_being_heard_first_and_then_the_answer_will_do_as_well() -> None:
    asked = cell()
    playbook = play(Session("kmux-1")).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    busy = status("busy", question)
    playbook.when(alice.sends(asked)).expect().when(kernel.publishes(busy)).expect(
        to_all(busy)
    ).when(kernel.answers(None, reply(question, **kernel_info()))).expect(to_kernel(asked, alice))


def test_requests_are_let_through_in_the_order_in_which_they_came() -> None:
    a1, b1, a2 = cell("a1"), request("complete"), request("complete")
    playbook = play(Session("kmux-1")).when(alice.sends(a1)).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.when(bob.sends(b1), alice.sends(a2)).expect().when(
        kernel.answers(None, reply(question, **kernel_info())),
        kernel.publishes(status("busy", question)),
    )
    assert [command.message for command in playbook.of_kind(ToKernel)] == [a1, b1, a2]


def answered_but_not_heard(playbook: Playbook) -> Playbook:
    playbook.when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    return playbook.when(kernel.answers(None, reply(question, **kernel_info()))).expect()


def test_a_kernel_that_answers_and_is_not_heard_is_asked_again() -> None:
    """The subscription took effect after its first words (jupyter_client#593)."""
    asked = cell()
    playbook = play(Session("kmux-1")).when(alice.sends(asked))
    answered_but_not_heard(playbook).when(fires("prove"))
    question = question_of(playbook, "kernel_info_request")
    playbook.expect(asks_kernel("kernel_info_request"), starts_timer("prove"))
    busy = status("busy", question)
    playbook.when(kernel.publishes(busy)).expect(to_all(busy), to_kernel(asked, alice)).when(
        kernel.answers(None, reply(question, **kernel_info()))
    ).expect().when(fires("prove")).expect()


def test_a_kernel_that_publishes_nothing_is_used_all_the_same() -> None:
    asked = cell()
    playbook = answered_but_not_heard(play(Session("kmux-1")).when(alice.sends(asked)))
    for _ in range(PROVE_ATTEMPTS - 1):
        playbook.when(fires("prove")).expect(
            asks_kernel("kernel_info_request"), starts_timer("prove")
        )
    playbook.when(fires("prove")).expect(to_kernel(asked, alice))


def test_so_is_one_that_takes_its_time_to_answer() -> None:
    """Kernels need longer than ``PROVE_SECONDS`` to come up: the timer fires before they answer."""
    asked = cell()
    playbook = play(Session("kmux-1")).when(alice.sends(asked)).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.when(fires("prove"))
    timers = playbook.of_kind(StartTimer)
    playbook.when(kernel.answers(None, reply(question, **kernel_info())))
    timers += playbook.of_kind(StartTimer)
    assert timers, "nobody asks again: the requests are held for ever"


def test_a_question_that_was_lost_is_asked_again_after_a_while() -> None:
    playbook = play(Session("kmux-1")).when(kernel.launches())
    for _ in range(PROVE_ATTEMPTS - 1):
        playbook.when(fires("prove")).expect(starts_timer("prove"))
    playbook.when(fires("prove")).expect(asks_kernel("kernel_info_request"), starts_timer("prove"))


def test_a_slow_kernel_is_not_asked_twice() -> None:
    """The question waits in its queue."""
    playbook = play(Session("kmux-1")).when(kernel.launches()).when(fires("prove"))
    assert not playbook.of_kind(ToKernel)


# Restart


def test_a_restart_answers_what_was_outstanding_and_holds_what_comes() -> None:
    running, waiting, asked = cell("running"), cell("waiting"), request("complete")
    later = cell("later")
    playbook = with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(waiting), bob.sends(asked)).when(RestartRequested(at=0)).expect(
        answers(alice, running, status="error", ename="KernelRestarted"),
        says_status("idle", running),
        answered(bob, waiting, status="aborted"),
        answered(bob, asked, status="error", ename="KernelRestarted"),
        true_status("restarting"),
        asks_kernel("shutdown_request", CONTROL, restart=True),
        RestartKernel(),
    )
    assert playbook.session.execution_state == "restarting"
    playbook.when(bob.sends(later)).expect().when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.expect(
        true_status("starting"), asks_kernel("kernel_info_request"), starts_timer("prove")
    )
    busy = status("busy", question)
    playbook.when(kernel.publishes(busy)).expect(to_all(busy)).when(
        kernel.answers(None, reply(question, **kernel_info()))
    ).expect(to_kernel(later, bob))


def test_what_the_old_kernel_still_says_goes_to_no_client_twice() -> None:
    running = cell()
    late, idle = reply(running), status("idle", running)
    with_a_kernel().when(alice.sends(running), RestartRequested(at=0)).when(
        kernel.answers(alice, late), kernel.publishes(idle)
    ).expect(to_all(idle))


def test_the_old_kernels_last_words_do_not_prove_the_new_one() -> None:
    asked = cell()
    playbook = with_a_kernel().when(RestartRequested(at=0), alice.sends(asked))
    playbook.when(kernel.publishes(status("idle"))).when(kernel.launches())
    question = question_of(playbook, "kernel_info_request")
    playbook.when(kernel.answers(None, reply(question, **kernel_info()))).expect()


def test_a_second_restart_while_one_is_on_its_way_is_none() -> None:
    with_a_kernel().when(RestartRequested(at=0)).when(RestartRequested(at=0)).expect()


# Death


def outstanding_when_it_died(policy: Policy) -> tuple[Playbook, list[Pattern]]:
    """A cell runs, one waits behind it, a completion too; the kernel dies."""
    running, waiting, asked = cell("running"), cell("waiting"), request("complete")
    playbook = with_a_kernel(policy=policy).when(
        alice.sends(running),
        kernel.publishes(status("busy", running)),
        bob.sends(waiting),
        bob.sends(asked),
    )
    playbook.when(kernel.dies("the kernel was killed by SIGSEGV"))
    return playbook, [
        answers(
            alice,
            running,
            status="error",
            ename="KernelDied",
            evalue="the kernel was killed by SIGSEGV",
            traceback=[],
        ),
        says_status("idle", running),
        says_status("busy", waiting),
        answers(bob, waiting, status="aborted"),
        says_status("idle", waiting),
        *answered(bob, asked, status="error", ename="KernelDied"),
    ]


def test_death_is_told_answered_and_the_kernel_started_again() -> None:
    playbook, told = outstanding_when_it_died(START)
    playbook.expect(told, true_status("restarting"), RestartKernel())


def test_with_no_restart_left_the_kernel_is_dead() -> None:
    playbook, told = outstanding_when_it_died(Policy(restart_limit=0))
    playbook.expect(told, true_status("dead"))
    assert playbook.session.execution_state == "dead"
    asked = cell()
    playbook.when(bob.sends(asked)).expect(
        answered(bob, asked, status="error", ename="KernelDied"), true_status("dead")
    )


def test_where_the_owner_decides_the_session_ends() -> None:
    """JupyterLab takes "dead" as final; its server is about to restart its kernel, kmux."""
    playbook, told = outstanding_when_it_died(Policy(on_death="end"))
    playbook.expect(told, true_status("restarting"), EndSession(False))


def test_then_nobody_hears_that_it_is_dead_whatever_was_held() -> None:
    held = cell()
    playbook = play(Session("kmux-1", Policy(on_death="end"))).when(alice.sends(held))
    playbook.when(kernel.launches()).when(kernel.dies())
    said = [as_json(c.message.raw_content).get("execution_state") for c in playbook.of_kind(ToAll)]
    assert said[-1] == "restarting"
    assert "dead" not in said


def test_then_the_owner_draws_its_own_conclusions() -> None:
    """nbclient tells a kernel that died from a cell that failed by the missing reply."""
    of_owner, of_other = cell(), cell()
    playbook = with_a_kernel(policy=Policy(on_death="end")).when(alice.returns(owner=True))
    playbook.when(alice.sends(of_owner), bob.sends(of_other)).when(kernel.dies())
    assert {command.client for command in playbook.of_kind(ToClient)} == {bob.id}


def test_the_limit_counts_deaths_in_a_row() -> None:
    playbook = with_a_kernel(policy=LIMIT_TWO)
    for _ in range(2):
        playbook.when(kernel.dies()).expect(true_status("restarting"), RestartKernel())
        launch(playbook)
    playbook.when(kernel.dies()).expect(true_status("dead"))


def test_deaths_far_apart_are_no_series() -> None:
    playbook = with_a_kernel(policy=LIMIT_TWO)
    for _ in range(10):
        playbook.when(kernel.dies()).expect(true_status("restarting"), RestartKernel())
        launch(playbook.after(RESTART_WINDOW_SECONDS / 2 + 1))


def test_a_kernel_that_cannot_be_started_again_fails_what_was_held() -> None:
    held, asked = cell(), request("kernel_info")
    playbook = with_a_kernel(policy=LIMIT_TWO).when(kernel.dies()).when(alice.sends(held))
    playbook.when(kernel.dies("no such file")).expect(true_status("restarting"), RestartKernel())
    playbook.when(kernel.dies("no such file")).expect(
        answered(alice, held, status="error", ename="KernelDied", evalue="no such file"),
        true_status("dead"),
        true_status("dead"),
    )
    playbook.when(bob.sends(asked)).expect(
        answered(bob, asked, **kernel_info()), true_status("dead")
    )


def test_who_waits_for_kernel_info_hears_that_the_kernel_is_dead() -> None:
    asked = request("kernel_info")
    playbook = play(Session("kmux-1", Policy(restart_limit=0))).when(bob.sends(asked)).expect()
    playbook.when(kernel.launches()).when(kernel.dies()).expect(
        answered(bob, asked, status="error", ename="KernelDied"),
        true_status("dead"),
        true_status("dead"),
    )
    again = request("kernel_info")
    playbook.when(bob.sends(again)).expect(
        answered(bob, again, status="error", ename="KernelDied"), true_status("dead")
    )


def test_a_dead_kernel_can_be_restarted() -> None:
    asked = cell()
    playbook = with_a_kernel(policy=Policy(restart_limit=0)).when(kernel.dies())
    playbook.when(RestartRequested(at=0)).expect(
        true_status("restarting"),
        asks_kernel("shutdown_request", CONTROL, restart=True),
        RestartKernel(),
    )
    launch(playbook.when(alice.sends(asked)).expect())
    assert playbook.session.execution_state == "idle"


def test_a_cell_that_was_answered_when_the_kernel_died_gets_its_idle() -> None:
    """Its reply passed, its idle was still to come: frontends wait for both."""
    running = cell()
    playbook = with_a_kernel().when(
        alice.sends(running),
        kernel.publishes(status("busy", running)),
        kernel.answers(alice, reply(running)),
    )
    playbook.when(kernel.dies()).expect(
        says_status("idle", running), true_status("restarting"), RestartKernel()
    )


def test_one_that_had_its_idle_gets_no_second() -> None:
    running = cell()
    with_a_kernel().when(
        alice.sends(running),
        kernel.publishes(status("busy", running)),
        kernel.publishes(status("idle", running)),
    ).when(kernel.dies()).expect(
        answers(alice, running, status="error"), true_status("restarting"), RestartKernel()
    )


def test_a_comm_message_has_no_reply_also_when_the_kernel_dies() -> None:
    sent = message("comm_msg", {"comm_id": "1", "data": {}})
    with_a_kernel().when(alice.sends(sent)).expect(to_kernel(sent, alice)).when(
        kernel.dies()
    ).expect(true_status("restarting"), RestartKernel())
    dead = with_a_kernel(policy=Policy(restart_limit=0)).when(kernel.dies())
    dead.when(alice.sends(sent)).expect(logs("message.refused"))


# What a kernel is to run before it is anybody's


def starts_with_code(asked: Message) -> tuple[Playbook, Message]:
    """A kernel that is to run something first, up to when it was sent that. Returns it as well."""
    playbook = play(Session("kmux-1")).when(alice.sends(asked))
    playbook.when(msgspec.structs.replace(kernel.launches(), start_code="drop()"))
    question = question_of(playbook, "kernel_info_request")
    busy = status("busy", question)
    playbook.when(kernel.answers(None, reply(question, **kernel_info())), kernel.publishes(busy))
    first = question_of(playbook, "execute_request")
    playbook.expect(to_all(busy), asks_kernel("execute_request", code="drop()", silent=True))
    return playbook, first


def test_what_it_is_to_run_first_runs_before_what_frontends_sent() -> None:
    asked = cell()
    playbook, first = starts_with_code(asked)
    playbook.when(fires("prove")).expect()
    assert playbook.session.execution_state == "starting"
    playbook.when(kernel.answers(None, reply(first))).expect(to_kernel(asked, from_=alice))


def test_where_that_fails_nobody_gets_it() -> None:
    playbook, first = starts_with_code(cell())
    failed = reply(first, status="error", evalue="no")
    playbook.when(kernel.answers(None, failed)).expect(
        logs("kernel.start_code_failed"), asks_kernel("shutdown_request", CONTROL, restart=False)
    )
    assert playbook.session.execution_state == "starting"
