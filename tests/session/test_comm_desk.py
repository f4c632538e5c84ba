"""Comms in a session: who hears what of them, and what a late joiner is told."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.message import Message
from proxy.session import comms as comms_module
from proxy.session.commands import Command, ToAll, ToKernel
from proxy.session.echoes import SETTLE_SECONDS
from tests.messages import as_json, cell, message, request, status
from tests.session.playbook import (
    CONTROL,
    Frontend,
    Pattern,
    Playbook,
    answered,
    asks_kernel,
    fires,
    kernel,
    logs,
    says_status,
    starts_timer,
    to_all,
    to_kernel,
    with_a_kernel,
)

alice, bob = Frontend("alice"), Frontend("bob")
STATE = {
    "_model_name": "IntSliderModel",
    "_model_module": "@jupyter-widgets/controls",
    "_model_module_version": "2.0.0",
    "value": 3,
}


def comm_open(target: str = "jupyter.widget", comm_id: str = "1", **data: Any) -> Message:
    content = {"comm_id": comm_id, "target_name": target, "data": data}
    return message("comm_open", content, session="kernel")


def comm_msg(comm_id: str = "1", parent: Message | None = None, **data: Any) -> Message:
    return message("comm_msg", {"comm_id": comm_id, "data": data}, parent=parent)


def comm_close(comm_id: str = "1") -> Message:
    return message("comm_close", {"comm_id": comm_id, "data": {}})


def publishes(msg_type: str, parent: Message, **wanted: Any) -> Pattern:
    """The session publishes a comm message of its own making that has these keys in its data."""

    def matches(c: Command) -> bool:
        if not isinstance(c, ToAll) or c.message.msg_type != msg_type:
            return False
        data = as_json(c.message.raw_content).get("data", {})
        own = c.message.parent == parent.header
        return own and all(data.get(key) == value for key, value in wanted.items())

    return Pattern(f"to all: {msg_type} {wanted}", matches, ToAll)


def with_a_slider() -> Playbook:
    """Both are there, and the kernel has opened a slider's comm, long ago."""
    playbook = with_a_kernel().when(alice.returns(), bob.returns())
    playbook.when(kernel.publishes(comm_open(state=STATE, buffer_paths=[])))
    playbook.now += 100
    return playbook


def test_comm_info_is_answered_from_the_ledger_however_busy_the_kernel_is() -> None:
    running, asked = cell("sleep"), request("comm_info", target_name="jupyter.widget")
    playbook = with_a_slider().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(asked)).expect(
        answered(bob, asked, status="ok", comms={"1": {"target_name": "jupyter.widget"}}),
        says_status("busy", running),
    )
    asked = request("comm_info", target_name="other")
    playbook.when(bob.sends(asked, CONTROL)).expect(
        answered(bob, asked, CONTROL, status="ok", comms={}), says_status("busy", running)
    )


def test_two_late_joiners_get_the_states_each_on_its_own_comm() -> None:
    """ipywidgets has one control comm for all and answers on the one that was opened last."""
    playbook = with_a_slider()
    playbook.when(kernel.publishes(comm_msg(method="update", state={"value": 7})))
    opens = [
        message("comm_open", {"comm_id": c, "target_name": "jupyter.widget.control", "data": {}})
        for c in ("a", "b")
    ]
    for joiner, opened in zip((alice, bob), opens, strict=True):
        playbook.when(joiner.sends(opened)).expect(
            says_status("busy", opened), says_status("idle", opened)
        )
    for joiner, comm_id in ((alice, "a"), (bob, "b")):
        asked = comm_msg(comm_id, method="request_states")
        playbook.when(joiner.sends(asked))
        (said,) = [c.message for c in playbook.of_kind(ToAll) if c.message.msg_type == "comm_msg"]
        content = said.content()
        assert content["comm_id"] == comm_id
        assert content["data"]["states"]["1"]["state"] == {**STATE, "value": 7}
        assert content["data"]["states"]["1"]["model_name"] == "IntSliderModel"
        playbook.when(joiner.sends(closed := comm_close(comm_id))).expect(
            says_status("busy", closed), says_status("idle", closed)
        )


def test_a_kernel_without_widgets_answers_itself_while_it_can() -> None:
    opened = message(
        "comm_open", {"comm_id": "a", "target_name": "jupyter.widget.control", "data": {}}
    )
    with_a_kernel().when(alice.sends(opened)).expect(to_kernel(opened, alice))
    running = cell("sleep")
    playbook = with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(opened)).expect(
        says_status("busy", opened), says_status("idle", opened), says_status("busy", running)
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


def test_a_refusal_is_withheld_and_the_slider_lives() -> None:
    """qtconsole closes every comm whose target it does not know."""
    playbook = with_a_kernel().when(alice.returns(), bob.returns())
    playbook.when(kernel.publishes(comm_open(state=STATE)))
    closed = comm_close()
    playbook.when(bob.sends(closed)).expect(
        says_status("busy", closed), says_status("idle", closed), logs("comm.close_withheld")
    )
    moved = comm_msg(method="update", state={"value": 4})
    playbook.when(alice.sends(moved)).expect(to_kernel(moved, alice), starts_timer("echoes"))


def test_the_last_holders_close_goes_to_the_kernel_and_the_others_hear_of_it() -> None:
    playbook = with_a_slider().when(alice.sends(comm_close()))
    assert not playbook.of_kind(ToKernel)
    closed = comm_close()
    playbook.when(bob.sends(closed)).expect(to_kernel(closed, bob), publishes("comm_close", closed))
    assert len(playbook.session.machines.comms.comms) == 0


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


def test_with_the_kernel_its_comms_go() -> None:
    playbook = with_a_slider().when(kernel.dies())
    assert len(playbook.session.machines.comms.comms) == 0
    assert len(playbook.session.machines.comms.holders) == 0


def test_a_comm_that_deno_refuses_on_shell_is_gone() -> None:
    opened = message("comm_open", {"comm_id": "x", "target_name": "x", "data": {}})
    closed = message("comm_close", {"comm_id": "x", "data": {}}, parent=opened)
    playbook = with_a_kernel().when(alice.sends(opened))
    assert "x" in playbook.session.machines.comms.comms
    playbook.when(kernel.answers(alice, closed, echoes=False))
    assert "x" not in playbook.session.machines.comms.comms


def test_content_that_is_no_comms_goes_to_the_kernel() -> None:
    odd = message("comm_msg", {"comm_id": 7})
    with_a_slider().when(alice.sends(odd)).expect(to_kernel(odd, alice))


def test_a_single_client_sees_what_it_would_see_directly() -> None:
    moved, closed = comm_msg(method="update", state={"value": 4}), comm_close()
    idle = status("idle", moved)
    playbook = with_a_kernel().when(alice.returns())
    playbook.when(kernel.publishes(comm_open(state=STATE))).after(100)
    playbook.when(alice.sends(moved), kernel.publishes(idle)).expect(
        to_kernel(moved, alice), starts_timer("echoes"), to_all(idle)
    )
    playbook.when(alice.sends(closed)).expect(to_kernel(closed, alice))


def test_an_update_in_the_middle_of_an_async_cell_is_mirrored_though_it_has_no_idle() -> None:
    """ipykernel 7.4 takes it up concurrently, and publishes no status for it."""
    moved = comm_msg(method="update", state={"value": 4})
    playbook = with_a_slider().when(alice.sends(moved)).after(SETTLE_SECONDS)
    playbook.when(fires("echoes")).expect(
        publishes("comm_msg", moved, method="echo_update", state={"value": 4})
    )
    playbook.when(fires("echoes")).expect()


def test_a_control_comm_that_came_before_the_first_widget_is_answered_here_too() -> None:
    opened = message(
        "comm_open", {"comm_id": "a", "target_name": "jupyter.widget.control", "data": {}}
    )
    playbook = with_a_kernel().when(alice.sends(opened)).expect(to_kernel(opened, alice))
    playbook.when(kernel.publishes(comm_open(state=STATE)))
    asked = comm_msg("a", method="request_states")
    playbook.when(alice.sends(asked)).expect(
        says_status("busy", asked),
        publishes("comm_msg", asked, method="update_states"),
        says_status("idle", asked),
    )


def test_the_kernel_is_told_of_the_comms_that_only_one_that_is_gone_held() -> None:
    opened = message("comm_open", {"comm_id": "own", "target_name": "x", "data": {}})
    playbook = with_a_slider().when(bob.sends(opened))
    goodbye = request("shutdown", restart=False)
    playbook.when(bob.sends(goodbye)).expect(
        answered(bob, goodbye, status="ok"),
        asks_kernel("comm_close", comm_id="own"),
    )
    comms = playbook.session.machines.comms
    assert ("own" in comms.comms, "1" in comms.comms) == (False, True), "the slider stays"


def test_what_is_forgotten_is_forgotten_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comms_module, "MAX_COMMS", 2)
    playbook = with_a_kernel()
    for number in range(5):
        playbook.when(kernel.publishes(comm_open(comm_id=str(number), state=STATE)))
    desk = playbook.session.machines.comms
    assert len(desk.comms) == len(desk.holders) == 2
