"""How the kernel takes interrupts. Those that are held are in test_interrupts.py."""

from __future__ import annotations

import pytest

from proxy.message import Message
from proxy.session.commands import (
    SignalKernel,
    StartTimer,
    ToClient,
)
from proxy.session.events import InterruptRequested
from proxy.session.session import Session
from tests.messages import reply, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Playbook,
    answered,
    asks_kernel,
    fires,
    kernel,
    play,
    question_of,
    starts_timer,
    to_client,
    to_kernel,
    true_status,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")


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


def test_nor_is_it_after_its_idle() -> None:
    """Though the kernel gives its sender's routing prefix back."""
    playbook = by_message()
    asked = unanswered_interrupt(playbook, bob)
    playbook.when(kernel.publishes(status("idle", asked)))
    playbook.when(kernel.answers(bob, reply(asked))).expect()


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
