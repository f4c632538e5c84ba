"""What a shared kernel is, as conversations: who says what, and what follows."""

from __future__ import annotations

import pytest

from proxy.message import Message
from proxy.session.commands import (
    EndSession,
    RestartKernel,
    SignalKernel,
    StartTimer,
    ToAll,
    ToClient,
    ToKernel,
    ToSubscriber,
)
from proxy.session.events import Event, InterruptRequested, RestartRequested, ShuttingDown
from proxy.session.lifecycle import RESTART_WINDOW_SECONDS, Policy
from proxy.session.session import Session
from proxy.session.startup import PROVE_ATTEMPTS
from tests.messages import as_json, cell, message, published, reply, request, status, stream
from tests.session.playbook import (
    CONTROL,
    SHELL,
    Frontend,
    Pattern,
    Playbook,
    answer_to,
    answered,
    answers,
    asks_again,
    asks_kernel,
    fires,
    kernel,
    kernel_info,
    launch,
    logs,
    play,
    prompt_for,
    question_of,
    says_status,
    starts_timer,
    subscribes,
    to_all,
    to_client,
    to_kernel,
    to_subscriber,
    true_status,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
away = Frontend("away", b"\x00\x01\x02\x03\x04")
"""A frontend with an identity that libzmq made up."""
START = Policy(on_death="restart")
LIMIT_TWO = Policy(on_death="restart", restart_limit=2)


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


def test_a_slow_kernel_is_not_asked_twice() -> None:
    """The question waits in its queue."""
    playbook = play(Session("kmux-1")).when(kernel.launches()).when(fires("prove"))
    assert not playbook.of_kind(ToKernel)


# Interrupts


def test_a_client_interrupts_by_signal() -> None:
    asked = request("interrupt")
    with_a_kernel().when(bob.sends(asked)).expect(SignalKernel(), answered(bob, asked, status="ok"))


@pytest.mark.parametrize(
    ("mode", "implementation"),
    [("message", "ipython"), ("signal", "Deno kernel"), ("signal", "xeus-python")],
)
def test_or_by_message_where_the_kernelspec_says_so_or_a_signal_would_kill(
    mode: str, implementation: str
) -> None:
    """Deno and xeus-python die of SIGINT although their kernelspecs ask for it."""
    asked = request("interrupt")
    answer = reply(asked)
    with_a_kernel(interrupt_mode=mode, implementation=implementation).when(bob.sends(asked)).expect(
        to_kernel(asked, bob), starts_timer("interrupt 1")
    ).when(kernel.answers(bob, answer, echoes=False)).expect(to_client(bob, answer)).when(
        fires("interrupt 1")
    ).expect()


def by_message() -> Playbook:
    return with_a_kernel(interrupt_mode="message")


def unanswered_interrupt(playbook: Playbook, frontend: Frontend) -> Message:
    asked = request("interrupt")
    playbook.when(frontend.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(fires(timer.key))
    return asked


def test_an_interrupt_that_the_kernel_does_not_answer_is_answered_after_a_while() -> None:
    """IRkernel answers nothing on control but shutdown."""
    playbook = by_message()
    asked = unanswered_interrupt(playbook, bob)
    playbook.expect(answered(bob, asked, status="error", ename="InterruptUnanswered"))


def test_its_late_answer_is_no_second_answer() -> None:
    playbook = by_message()
    asked = unanswered_interrupt(playbook, bob)
    playbook.when(kernel.answers(bob, reply(asked))).expect()


def test_interrupts_that_are_not_answered_do_not_pile_up() -> None:
    playbook = by_message()
    before = len(playbook.session.requests)
    for _ in range(20):
        asked = unanswered_interrupt(playbook, bob)
        playbook.when(kernel.publishes(status("busy", asked)))
        playbook.when(kernel.publishes(status("idle", asked)))
    assert len(playbook.session.requests) == before


def test_two_unanswered_interrupts_with_one_msg_id_are_both_answered() -> None:
    a, b = request("interrupt", "1"), request("interrupt", "1")
    playbook = by_message().when(alice.sends(a), bob.sends(b))
    timers = {command.key for command in playbook.of_kind(StartTimer)}
    playbook.when(*map(fires, sorted(timers)))
    assert {command.client for command in playbook.of_kind(ToClient)} == {alice.id, bob.id}


def test_an_interrupt_while_the_kernel_starts_is_answered_and_does_nothing() -> None:
    asked = request("interrupt")
    play(Session("kmux-1")).when(kernel.launches()).when(bob.sends(asked)).expect(
        answered(bob, asked, status="ok"), true_status("starting")
    )


def test_ctrl_c_in_the_foreground_interrupts_in_the_kernels_way() -> None:
    with_a_kernel().when(InterruptRequested(at=0)).expect(SignalKernel())
    playbook = by_message().when(InterruptRequested(at=0))
    question = question_of(playbook, "interrupt_request")
    playbook.expect(asks_kernel("interrupt_request", CONTROL)).when(
        kernel.answers(None, reply(question), CONTROL)
    ).expect()
    play(Session("kmux-1")).when(InterruptRequested(at=0)).expect()


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
    assert len(playbook.session.requests) <= 1, "but for the question about the end"


def test_so_is_what_was_held() -> None:
    held, asked = cell(), request("kernel_info")
    playbook = play(Session("kmux-1")).when(alice.sends(held), bob.sends(asked))
    playbook.when(kernel.launches()).when(ShuttingDown(at=0))
    assert {command.client for command in playbook.of_kind(ToClient)} == {alice.id, bob.id}


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
