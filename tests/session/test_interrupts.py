"""Interrupts that are held, withdrawn, answered late. How the kernel takes them is in
test_interrupt_desk.py.
"""

from __future__ import annotations

import pytest

from proxy.message import Channel, Message
from proxy.session.commands import SignalKernel, StartTimer, ToClient
from proxy.session.events import EndpointClosed, InterruptRequested, RestartRequested
from proxy.session.interrupts import HOLD_SECONDS, Interrupts
from proxy.session.requests import Requests
from proxy.session.shell_queue import Execution
from tests.messages import cell, reply, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Playbook,
    answered,
    fires,
    kernel,
    logs,
    says_status,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")


def runs(running: Message) -> Playbook:
    """Alice's cell runs."""
    return with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))


def test_each_one_has_a_timer_of_its_own() -> None:
    interrupts, requests = Interrupts(), Requests()
    a, b = alice.sends(request("interrupt")), bob.sends(request("interrupt"))
    cell_of_another = Execution(bob.sends(cell()))
    keys = [interrupts.hold(a, cell_of_another), interrupts.hold(b, cell_of_another)]
    keys.append(interrupts.sent(asked := requests.add(alice.id, Channel.CONTROL, a.message)))
    assert len(set(keys)) == 3
    assert interrupts.release(keys[2]) is None
    assert interrupts.release(keys[0]) == (a, cell_of_another)
    assert interrupts.release(keys[0]) is None
    assert interrupts.overdue(keys[2]) is asked
    assert interrupts.overdue(keys[2]) is None
    assert interrupts.clear() == [b]


def test_an_own_cell_is_interrupted_at_once() -> None:
    running, asked = cell("while True: pass"), request("interrupt")
    runs(running).when(alice.sends(asked)).expect(
        SignalKernel(), answered(alice, asked, status="ok"), says_status("busy", running)
    )


def test_anothers_cell_is_interrupted_when_no_shutdown_follows() -> None:
    running, asked = cell("while True: pass"), request("interrupt")
    playbook = runs(running).when(bob.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    assert timer.seconds == HOLD_SECONDS
    playbook.expect(timer).when(fires(timer.key)).expect(
        SignalKernel(), answered(bob, asked, status="ok"), says_status("busy", running)
    ).when(fires(timer.key)).expect()


def test_jupyterlabs_interrupt_right_before_its_shutdown_hits_nobody() -> None:
    running, asked = cell("while True: pass"), request("interrupt")
    shutdown = request("shutdown", restart=False)
    playbook = runs(running).when(bob.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(bob.sends(shutdown, CONTROL)).expect(
        answered(bob, asked, status="ok"),
        says_status("busy", running),
        answered(bob, shutdown, status="ok", restart=False),
        says_status("busy", running),
        logs("client.detached"),
    ).when(fires(timer.key)).expect()


def test_a_shutdown_of_another_client_drops_none_but_its_own() -> None:
    running, asked = cell("while True: pass"), request("interrupt")
    carol = Frontend("carol")
    playbook = runs(running).when(bob.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(carol.sends(request("shutdown", restart=False))).when(fires(timer.key))
    assert playbook.of_kind(SignalKernel)


@pytest.mark.parametrize("end", [kernel.dies(), RestartRequested(at=0)], ids=["death", "restart"])
def test_one_that_is_held_when_the_kernel_goes_is_answered(end: object) -> None:
    running, asked = cell("while True: pass"), request("interrupt")
    playbook = runs(running).when(bob.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(end)  # type: ignore[arg-type]
    assert bob.id in {command.client for command in playbook.of_kind(ToClient)}
    playbook.when(kernel.launches()).when(fires(timer.key)).expect()


def test_one_whose_cell_is_done_meanwhile_hits_nothing_else() -> None:
    running, asked = cell(), request("interrupt")
    playbook = runs(running).when(bob.sends(asked))
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(kernel.answers(alice, reply(running)), kernel.publishes(status("idle", running)))
    playbook.when(fires(timer.key)).expect(answered(bob, asked, status="ok"))


def sigint(endpoint: bytes = b"zmq") -> InterruptRequested:
    """The process that stands for the kernel at these ports was sent SIGINT."""
    return InterruptRequested(at=0, endpoint=endpoint)


def test_sigint_to_a_process_that_stands_for_the_kernel_is_held_as_well() -> None:
    running = cell("while True: pass")
    playbook = runs(running).when(sigint())
    (timer,) = playbook.of_kind(StartTimer)
    assert timer.seconds == HOLD_SECONDS
    playbook.expect(timer).when(fires(timer.key)).expect(SignalKernel())
    playbook.when(fires(timer.key)).expect()
    with_a_kernel().when(sigint()).expect(SignalKernel())  # no cell that it could hit


def test_and_hits_nobody_where_the_frontends_shutdown_follows() -> None:
    running, shutdown = cell("while True: pass"), request("shutdown", restart=False)
    for interrupt in (sigint(), bob.sends(request("interrupt"))):
        playbook = runs(running).when(interrupt)
        (timer,) = playbook.of_kind(StartTimer)
        playbook.when(bob.sends(shutdown, CONTROL), fires(timer.key))
        assert not playbook.of_kind(SignalKernel)


def test_or_where_its_ports_are_taken_away() -> None:
    """jupyter_client ends a kernel at once by SIGINT, or a message, and then SIGKILL."""
    running, asked = cell("while True: pass"), request("interrupt")
    playbook = runs(running).when(sigint(), bob.sends(asked), sigint(b"elsewhere"))
    timers = playbook.of_kind(StartTimer)
    playbook.when(EndpointClosed(at=0, tag=b"zmq")).expect(
        answered(bob, asked, status="ok"), says_status("busy", running)
    )
    playbook.when(*[fires(timer.key) for timer in timers]).expect(SignalKernel())


def test_it_is_for_the_cell_that_ran_then() -> None:
    running, following = cell("while True: pass"), cell()
    playbook = runs(running).when(sigint())
    (timer,) = playbook.of_kind(StartTimer)
    playbook.when(
        kernel.publishes(status("idle", running)),
        kernel.answers(alice, reply(running)),
        alice.sends(following),
        fires(timer.key),
    )
    assert not playbook.of_kind(SignalKernel)
