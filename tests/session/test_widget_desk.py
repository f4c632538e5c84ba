"""Widgets in a session: whose word counts for their states."""

from __future__ import annotations

from proxy.session.commands import ToKernel
from proxy.session.echoes import SETTLE_SECONDS
from tests.messages import message, status
from tests.session.comm_messages import (
    STATE,
    alice,
    bob,
    comm_msg,
    comm_open,
    control_open,
    publishes,
    with_a_slider,
)
from tests.session.playbook import (
    Pattern,
    asks_kernel,
    fires,
    kernel,
    question_of,
    says_status,
    starts_timer,
    to_all,
    to_kernel,
    with_a_kernel,
)


def test_a_models_state_is_answered_from_the_ledger() -> None:
    asked = comm_msg(method="request_state")
    with_a_slider().when(bob.sends(asked)).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, method="update", state=STATE),
        says_status("idle", asked),
    )
    unknown = comm_msg("unknown", method="request_state")
    with_a_slider().when(bob.sends(unknown)).expect(to_kernel(unknown, bob))


def test_an_update_that_the_kernel_does_not_repeat_is_mirrored_once() -> None:
    moved = comm_msg(method="update", state={"value": 4})
    idle = status("idle", moved)
    playbook = with_a_slider().when(alice.sends(moved), kernel.publishes(status("busy", moved)))
    playbook.when(kernel.publishes(idle)).expect(
        to_all(idle), publishes("comm_msg", moved, method="echo_update", state={"value": 4})
    ).when(kernel.publishes(idle)).expect(to_all(idle))
    asked = comm_msg(method="request_state")
    playbook.when(bob.sends(asked)).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, state={**STATE, "value": 4}),
        says_status("idle", asked),
    )


def test_one_that_it_repeats_is_not_and_what_it_keeps_back_stays_back() -> None:
    moved = comm_msg(method="update", state={"value": 4, "upload": 1})
    echo = comm_msg(parent=moved, method="echo_update", state={"value": 4})
    idle = status("idle", moved)
    playbook = with_a_slider().when(alice.sends(moved))
    playbook.when(kernel.publishes(echo)).expect(to_all(echo))
    playbook.when(kernel.publishes(idle)).expect(to_all(idle))


def test_an_update_in_the_middle_of_an_async_cell_is_mirrored_though_it_has_no_idle() -> None:
    """ipykernel 7.4 takes it up concurrently, and publishes no status for it."""
    moved = comm_msg(method="update", state={"value": 4})
    playbook = with_a_slider().when(alice.sends(moved)).after(SETTLE_SECONDS)
    playbook.when(fires("echoes")).expect(
        publishes("comm_msg", moved, method="echo_update", state={"value": 4})
    )
    playbook.when(fires("echoes")).expect()


def asks_for_state() -> Pattern:
    return asks_kernel("comm_msg", comm_id="1", data={"method": "request_state"})


def test_the_kernel_is_asked_what_it_made_of_a_widget_that_a_client_opened() -> None:
    """ipywidgets fills in what the frontend left out, and tells nobody."""
    opened = comm_open(state={"_model_name": "IntSliderModel", "value": 5})
    asked, again = comm_msg(method="request_state"), comm_msg(method="request_state")
    playbook = with_a_kernel().when(alice.sends(opened)).expect(to_kernel(opened, alice))
    playbook.when(alice.sends(asked)).expect(to_kernel(asked, alice))  # it knows, and soon
    idle = status("idle", opened)
    playbook.when(kernel.publishes(status("busy", opened)))
    question = question_of(playbook.when(kernel.publishes(idle)), "comm_msg")
    playbook.expect(to_all(idle), asks_for_state())
    told = comm_msg(parent=question, method="update", state={**STATE, "value": 5}, buffer_paths=[])
    playbook.when(kernel.publishes(status("busy", question))).expect()
    playbook.when(kernel.publishes(told)).expect()
    playbook.when(kernel.publishes(status("idle", question))).expect()
    playbook.when(alice.sends(again)).expect(
        says_status("busy", again),
        publishes("comm_msg", again, method="update", state={**STATE, "value": 5}),
        says_status("idle", again),
    )


def test_the_kernel_is_asked_what_it_made_of_an_update_that_it_complains_about() -> None:
    """It has repeated the value already, as ipywidgets does before it sets it."""
    playbook = with_a_slider()
    update = comm_msg(method="update", state={"value": "none such"})
    playbook.when(alice.sends(update), kernel.publishes(status("busy", update)))
    told = comm_msg(parent=update, method="echo_update", state={"value": "none such"})
    traceback = message("stream", {"name": "stderr", "text": "TraitError"}, parent=update)
    idle = status("idle", update)
    playbook.when(kernel.publishes(told), kernel.publishes(traceback)).expect(
        to_all(told), to_all(traceback)
    )
    playbook.when(kernel.publishes(idle)).expect(to_all(idle), asks_for_state())


def test_what_a_callback_prints_is_no_complaint() -> None:
    playbook = with_a_slider()
    update = comm_msg(method="update", state={"value": 4})
    printed = message("stream", {"name": "stdout", "text": "4"}, parent=update)
    idle = status("idle", update)
    playbook.when(alice.sends(update), kernel.publishes(status("busy", update)))
    playbook.when(kernel.publishes(printed), kernel.publishes(idle))
    assert not playbook.of_kind(ToKernel)


def test_all_states_wait_for_one_in_doubt_but_not_for_long() -> None:
    opened, control = comm_open(state={"value": 5}), control_open("a")
    asked = comm_msg("a", method="request_states")
    playbook = with_a_slider().when(alice.sends(control), alice.sends(opened))
    playbook.when(alice.sends(asked)).expect(starts_timer("echoes"))
    playbook.when(fires("echoes")).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, method="update_states"),
        says_status("idle", asked),
    )
