"""Widgets in a session: whose word counts for their states."""

from __future__ import annotations

from proxy.session.commands import ToAll, ToKernel
from proxy.session.echoes import SETTLE_SECONDS
from tests.messages import cell, message, status
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
    Playbook,
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


def test_the_kernel_answers_for_a_widget_that_a_client_opened_until_it_has_told_its_state() -> None:
    """ipywidgets fills in what the frontend left out, and tells nobody."""
    opened = comm_open(state={"_model_name": "IntSliderModel", "value": 5})
    asked, again = comm_msg(method="request_state"), comm_msg(method="request_state")
    playbook = with_a_kernel().when(alice.sends(opened)).expect(to_kernel(opened, alice))
    for each in (status("busy", opened), status("idle", opened)):
        playbook.when(kernel.publishes(each)).expect(to_all(each))
    playbook.when(alice.sends(asked)).expect(to_kernel(asked, alice))
    told = comm_msg(parent=asked, method="update", state={**STATE, "value": 5}, buffer_paths=[])
    for each in (status("busy", asked), told, status("idle", asked)):
        playbook.when(kernel.publishes(each)).expect(to_all(each))
    playbook.when(alice.sends(again)).expect(
        says_status("busy", again),
        publishes("comm_msg", again, method="update", state={**STATE, "value": 5}),
        says_status("idle", again),
    )


def complains(playbook: Playbook) -> None:
    """Alice sets a value that ipywidgets repeats, as it does before it sets it, and refuses."""
    update = comm_msg(method="update", state={"value": "none such"})
    playbook.when(alice.sends(update), kernel.publishes(status("busy", update)))
    told = comm_msg(parent=update, method="echo_update", state={"value": "none such"})
    traceback = message("error", {"ename": "TraitError"}, parent=update)
    for each in (told, traceback, status("idle", update)):
        playbook.when(kernel.publishes(each)).expect(to_all(each))


def test_the_kernel_is_asked_what_it_made_of_an_update_that_it_complained_about() -> None:
    playbook = with_a_slider()
    complains(playbook)
    control, asked = control_open("a"), comm_msg("a", method="request_states")
    playbook.when(bob.sends(control))
    question = question_of(playbook.when(bob.sends(asked)), "comm_msg")
    playbook.expect(asks_for_state())
    playbook.after(SETTLE_SECONDS / 2).when(fires("echoes")).expect(starts_timer("echoes"))
    told = comm_msg(parent=question, method="update", state=STATE, buffer_paths=[])
    printed = message("stream", {"name": "stderr", "text": "?"}, parent=question)
    for each in (status("busy", question), printed, told):
        playbook.when(kernel.publishes(each)).expect()
    playbook.when(kernel.publishes(status("idle", question)))
    (said,) = [c.message for c in playbook.of_kind(ToAll) if c.message.msg_type == "comm_msg"]
    assert said.content()["data"]["states"]["1"]["state"] == STATE
    assert said.parent == asked.header


def test_nobody_waits_for_a_kernel_that_runs_a_cell() -> None:
    running, asked = cell("sleep"), comm_msg(method="request_state")
    playbook = with_a_slider()
    complains(playbook)
    playbook.when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(asked)).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, method="update", state={**STATE, "value": "none such"}),
        says_status("idle", asked),
        says_status("busy", running),
    )


def test_what_a_callback_prints_is_no_refusal() -> None:
    playbook = with_a_slider()
    update = comm_msg(method="update", state={"value": 4})
    printed = message("stream", {"name": "stderr", "text": "4"}, parent=update)
    idle = status("idle", update)
    playbook.when(alice.sends(update), kernel.publishes(status("busy", update)))
    playbook.when(kernel.publishes(printed), kernel.publishes(idle))
    asked = comm_msg(method="request_state")
    playbook.when(bob.sends(asked))
    assert not playbook.of_kind(ToKernel)


def test_all_states_wait_for_one_in_doubt_but_not_for_long() -> None:
    opened, control = comm_open(state={"value": 5}), control_open("a")
    asked = comm_msg("a", method="request_states")
    playbook = with_a_slider().when(alice.sends(control), alice.sends(opened))
    playbook.when(alice.sends(asked)).expect(starts_timer("echoes"))
    playbook.after(SETTLE_SECONDS).when(fires("echoes")).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, method="update_states"),
        says_status("idle", asked),
    )
