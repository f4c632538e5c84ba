"""The execution queue in a session: who gets which answer when others fail, interrupt, leave."""

from __future__ import annotations

import pytest

from proxy.message import Message
from proxy.session.commands import EndSession, ToClient, ToKernel
from proxy.session.events import CancelRequested, ClientLeft
from proxy.session.lifecycle import Policy
from proxy.session.queue import MAX_WAITING
from tests.messages import cell, message, reply, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Playbook,
    answered,
    answers,
    asks_kernel,
    kernel,
    logs,
    question_of,
    says_status,
    starts_timer,
    to_all,
    to_client,
    to_kernel,
    with_a_kernel,
)
from tests.session.playbook import fires as fires_timer

alice, bob = Frontend("alice"), Frontend("bob")
passing = Frontend("a server's probe", identity=b"\x00abcd")


def failed(running: Message) -> Message:
    return reply(running, status="error", ename="ZeroDivisionError")


def runs(running: Message) -> Playbook:
    """Alice's cell runs."""
    return with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))


def test_a_cell_waits_for_another_clients_cell_and_is_sent_with_its_reply() -> None:
    running, waiting = cell("running"), cell("waiting")
    done = reply(running, status="ok")
    playbook = runs(running).when(bob.sends(waiting)).expect(starts_timer("stall"))
    playbook.when(kernel.answers(alice, done)).expect(
        to_client(alice, done), to_kernel(waiting, bob)
    )


def test_somebody_elses_idle_lets_nothing_in() -> None:
    running, asked, waiting = cell("running"), request("complete"), cell("waiting")
    idle = status("idle", asked)
    runs(running).when(
        bob.sends(asked), bob.sends(waiting), kernel.publishes(status("busy", asked))
    ).when(kernel.publishes(idle)).expect(to_all(idle), says_status("busy", running))


def test_an_error_aborts_its_own_clients_cells_and_the_others_go_on_after_its_idle() -> None:
    running, own, asked, other = cell("1/0"), cell("own"), request("complete"), cell("other")
    error, idle = failed(running), status("idle", running)
    playbook = runs(running).when(alice.sends(own), alice.sends(asked), bob.sends(other))
    playbook.when(kernel.answers(alice, error))
    aborted = playbook.of_kind(ToClient)[-1]
    assert aborted.message.content() == {"status": "aborted"}, "and no execution count"
    metadata = aborted.message.metadata()
    assert metadata.pop("started").endswith("Z")
    assert metadata == {"status": "aborted", "dependencies_met": True, "engine": "1234"}
    playbook.expect(
        to_client(alice, error),
        answered(alice, own, status="aborted"),
        says_status("busy", running),
        to_kernel(asked, alice),
        starts_timer("queue"),
    )
    playbook.when(kernel.publishes(idle)).expect(to_all(idle), to_kernel(other, bob))


def test_who_interrupts_anothers_cell_leaves_the_queue_of_a_third_alone() -> None:
    loop, third = cell("while True: pass"), cell("third")
    carol = Frontend("carol")
    playbook = runs(loop).when(bob.sends(third), carol.sends(request("interrupt"), CONTROL))
    playbook.when(kernel.answers(alice, failed(loop)), kernel.publishes(status("idle", loop)))
    assert playbook.of_kind(ToKernel)[-1].message is third


def test_a_cell_that_the_kernel_threw_away_is_sent_again_and_nobody_hears_of_it() -> None:
    """A kernel that throws away what comes within some time of an error (stop_on_error_timeout)."""
    asked = cell()
    thrown_away = reply(asked, status="aborted")
    with_a_kernel().when(alice.sends(asked)).when(kernel.answers(alice, thrown_away)).expect(
        to_kernel(asked, alice)
    ).when(kernel.answers(alice, done := reply(asked, status="ok"))).expect(to_client(alice, done))


def test_a_reply_that_is_lost_is_made_up_and_the_queue_goes_on() -> None:
    silent, other = cell("silence"), cell("other")
    idle = status("idle", silent)
    playbook = runs(silent).when(bob.sends(other))
    playbook.when(kernel.publishes(idle)).expect(to_all(idle), starts_timer("queue"))
    playbook.when(fires_timer("queue")).expect(
        answers(alice, silent, status="error", ename="ReplyLost"), to_kernel(other, bob)
    )
    playbook.when(kernel.answers(alice, reply(silent, status="ok"))).expect()


def test_a_cell_that_was_answered_in_time_is_not_lost() -> None:
    running = cell()
    playbook = runs(running).when(kernel.publishes(status("idle", running)))
    playbook.when(kernel.answers(alice, done := reply(running, status="ok"))).expect(
        to_client(alice, done)
    ).when(fires_timer("queue")).expect()


def test_a_cell_that_waits_can_be_cancelled() -> None:
    running, waiting = cell("running"), cell("waiting")
    cancel = CancelRequested(at=0, client=bob.id, msg_id=waiting.msg_id)
    runs(running).when(bob.sends(waiting)).when(cancel).expect(
        answered(bob, waiting, status="aborted"), says_status("busy", running)
    ).when(cancel).expect()


@pytest.mark.parametrize("seconds", [10, 0])
def test_what_a_client_left_waiting_runs_or_does_not_by_policy(seconds: float) -> None:
    running, waiting = cell("running"), cell("waiting")
    playbook = with_a_kernel(policy=Policy(away_seconds=seconds)).when(alice.sends(running))
    playbook.when(bob.sends(waiting), ClientLeft(at=0, client=bob.id))
    playbook.when(kernel.answers(alice, reply(running, status="ok")))
    sent = [command.message for command in playbook.of_kind(ToKernel)]
    assert (waiting in sent) == bool(seconds)


def test_one_that_cannot_come_back_leaves_nothing() -> None:
    running, waiting = cell("running"), cell("waiting")
    runs(running).when(passing.sends(waiting)).when(ClientLeft(at=0, client=passing.id)).expect(
        answered(passing, waiting, status="aborted"),
        says_status("busy", running),
        logs("cell.ended"),
        logs("queue.dropped"),
    )


def test_who_detaches_takes_its_waiting_cells_along() -> None:
    running, waiting = cell("running"), cell("waiting")
    playbook = runs(running).when(bob.sends(waiting), bob.sends(request("shutdown", restart=False)))
    playbook.when(kernel.answers(alice, reply(running, status="ok")))
    assert waiting not in [command.message for command in playbook.of_kind(ToKernel)]


def test_cells_on_a_subshell_do_not_wait_for_the_main_shell() -> None:
    running = cell("running")
    beside = message("execute_request", {"code": "1"}, subshell_id="s")
    runs(running).when(bob.sends(beside)).expect(to_kernel(beside, bob))


def test_with_the_kernel_all_that_waits_is_answered() -> None:
    running, waiting, behind = cell("running"), cell("waiting"), request("complete")
    playbook = runs(running).when(bob.sends(waiting), bob.sends(behind), kernel.dies())
    got = {c.message.parent.msg_id: c.message.content() for c in playbook.of_kind(ToClient)}  # type: ignore[union-attr]
    assert got[waiting.msg_id] == {"status": "aborted"}
    assert got[behind.msg_id]["ename"] == "KernelDied"
    assert list(playbook.session.machines.queue.executions) == []


def test_a_client_that_floods_is_refused_and_another_is_not() -> None:
    running = cell("running")
    playbook = runs(running)
    for _ in range(MAX_WAITING):
        playbook.session.handle(bob.sends(cell()))
    asked = cell()
    playbook.when(bob.sends(asked)).expect(
        answered(bob, asked, status="error", ename="TooManyRequests"),
        says_status("busy", running),
    )
    playbook.when(alice.sends(cell())).expect()


def test_the_owners_shutdown_is_never_refused() -> None:
    owner = Frontend("owner")
    playbook = runs(cell("running")).when(owner.returns(owner=True))
    for _ in range(MAX_WAITING):
        playbook.session.handle(owner.sends(cell()))
    shutdown = request("shutdown", restart=False)
    playbook.when(owner.sends(shutdown)).expect(to_kernel(shutdown, owner), EndSession(False))


def test_a_cell_that_the_kernel_dropped_without_a_word_stands_in_nobodys_way() -> None:
    """ipykernel does so with a header that has no version."""
    dropped, waiting = cell("dropped"), cell("waiting")
    playbook = with_a_kernel().when(alice.sends(dropped))
    playbook.when(bob.sends(waiting)).expect(starts_timer("stall"))
    playbook.when(fires_timer("stall")).expect(starts_timer("stall"))
    probe = question_of(playbook.when(fires_timer("stall")), "kernel_info_request")
    playbook.expect(asks_kernel("kernel_info_request"), starts_timer("stall"))
    playbook.when(fires_timer("stall")).expect(starts_timer("stall"))
    playbook.when(kernel.publishes(status("busy", probe))).expect()
    playbook.when(kernel.answers(None, reply(probe, status="ok"))).expect()
    playbook.when(kernel.publishes(status("idle", probe))).expect(
        says_status("busy", dropped),
        answers(alice, dropped, status="error", ename="ReplyLost"),
        says_status("idle", dropped),
        to_kernel(waiting, bob),
    )
    playbook.when(fires_timer("stall")).expect()


def test_a_cell_that_is_taken_up_after_the_question_runs() -> None:
    """The kernel was busy with what did not come through kmux."""
    running, waiting = cell("running"), cell("waiting")
    playbook = with_a_kernel().when(alice.sends(running), bob.sends(waiting))
    playbook.when(fires_timer("stall")).when(fires_timer("stall"))
    probe = question_of(playbook, "kernel_info_request")
    busy = status("busy", running)
    playbook.when(kernel.publishes(busy)).expect(to_all(busy))
    playbook.when(kernel.publishes(status("busy", probe))).expect()
    playbook.when(kernel.publishes(status("idle", probe))).expect()
    done = reply(running, status="ok")
    playbook.when(kernel.answers(alice, done)).expect(
        to_client(alice, done), to_kernel(waiting, bob)
    )


def test_a_cell_that_runs_for_long_is_not_asked_about() -> None:
    running, waiting = cell("running"), cell("waiting")
    playbook = runs(running).when(bob.sends(waiting))
    for _ in range(3):
        playbook.when(fires_timer("stall")).expect(starts_timer("stall"))
