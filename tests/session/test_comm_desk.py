"""Comms in a session: who hears what of them, and what a late joiner is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from proxy.message import Channel, Message
from proxy.session import comms as comms_module
from proxy.session.commands import ToAll, ToKernel
from tests.messages import cell, message, request, status
from tests.session.comm_messages import (
    STATE,
    alice,
    bob,
    comm_close,
    comm_msg,
    comm_open,
    control_open,
    publishes,
    with_a_slider,
)
from tests.session.playbook import (
    CONTROL,
    SHELL,
    answered,
    asks_kernel,
    kernel,
    logs,
    says_status,
    starts_timer,
    to_all,
    to_kernel,
    with_a_kernel,
)


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
    opens = [control_open("a"), control_open("b")]
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
    opened = control_open("a")
    with_a_kernel().when(alice.sends(opened)).expect(to_kernel(opened, alice))
    running = cell("sleep")
    playbook = with_a_kernel().when(alice.sends(running), kernel.publishes(status("busy", running)))
    playbook.when(bob.sends(opened)).expect(
        says_status("busy", opened), says_status("idle", opened), says_status("busy", running)
    )


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


def test_a_control_comm_that_came_before_the_first_widget_is_answered_here_too() -> None:
    opened = control_open("a")
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


@pytest.mark.parametrize("version", ["2.0.0", "", None])
def test_a_control_comm_of_another_version_is_for_the_kernel_to_refuse(version: Any) -> None:
    """ipywidgets takes the major version 1, and closes others with a traceback."""
    opened = control_open("a", version)
    with_a_slider().when(alice.sends(opened)).expect(to_kernel(opened, alice))


@pytest.mark.parametrize(
    ("opened", "channel"), [(comm_open(target=""), SHELL), (comm_open(target="t"), CONTROL)]
)
def test_a_comm_that_ipykernel_does_not_open_is_none(opened: Message, channel: Channel) -> None:
    playbook = with_a_kernel().when(alice.sends(opened, channel))
    playbook.expect(to_kernel(opened, alice, channel))
    assert len(playbook.session.machines.comms.comms) == 0


@pytest.mark.parametrize("target", ["", 5, "other"])
def test_comm_info_for_a_target_that_no_comm_has(target: Any) -> None:
    """Only null, or none at all, means all (ipykernel 7.4)."""
    asked = request("comm_info", target_name=target)
    with_a_slider().when(bob.sends(asked)).expect(answered(bob, asked, status="ok", comms={}))


@pytest.mark.parametrize("raw", [b"[]", b"null", b"{"])
def test_what_cannot_be_read_is_for_the_kernel_to_answer(raw: bytes) -> None:
    for msg_type in ("comm_info", "kernel_info"):
        asked = msgspec.structs.replace(request(msg_type), raw_content=raw)
        with_a_slider().when(bob.sends(asked)).expect(to_kernel(asked, bob))


def test_a_widget_that_a_client_opens_makes_no_kernel_one_with_ipywidgets() -> None:
    """One without refuses it, and knows nothing of control comms."""
    opened, control = comm_open(state=STATE), control_open("a")
    playbook = with_a_kernel().when(alice.sends(opened))
    playbook.when(alice.sends(control)).expect(to_kernel(control, alice))
    said = comm_msg(parent=opened, method="update", state={"value": 4}, buffer_paths=[])
    playbook.when(kernel.publishes(said))
    playbook.when(alice.sends(again := control_open("b"))).expect(
        says_status("busy", again), says_status("idle", again)
    )
