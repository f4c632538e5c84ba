"""Clients that may look and not touch, as conversations."""

from __future__ import annotations

import pytest

from proxy.message import ClientId
from proxy.session.commands import ToAll, ToClient, ToKernel
from proxy.session.events import EndpointBound
from tests.messages import cell, message, request
from tests.session.playbook import Frontend, Playbook, answered, kernel, with_a_kernel

alice, eve = Frontend("alice"), Frontend("eve")
eve.id = ClientId((b"looking", b"eve"))


def watched() -> Playbook:
    """A kernel with a widget that eve may look at."""
    playbook = with_a_kernel()
    playbook.when(EndpointBound(at=0, ports={}, tag=b"looking", read_only=True)).expect()
    data = {"state": {"value": 7}, "buffer_paths": []}
    opened = {"comm_id": "slider", "target_name": "jupyter.widget", "data": data}
    playbook.when(kernel.publishes(message("comm_open", opened, session="kernel")))
    return playbook


@pytest.mark.parametrize(
    "asked",
    [
        cell("x = 1"),
        request("complete", code="x.", cursor_pos=2),
        request("inspect", code="x", cursor_pos=1),
        request("interrupt"),
        request("shutdown", restart=True),
        request("debug", command="attach"),
        request("create_subshell"),
        request("something_new"),
    ],
)
def test_what_could_touch_the_kernel_is_refused(asked: object) -> None:
    playbook = watched().when(eve.sends(asked))  # type: ignore[arg-type]
    playbook.expect(answered(eve, asked, status="error", ename="ReadOnly"))  # type: ignore[arg-type]


def test_others_are_not_concerned() -> None:
    asked = cell("x = 1")
    assert watched().when(alice.sends(asked)).of_kind(ToKernel)[0].message is asked


def test_what_a_frontend_asks_when_it_attaches_is_answered() -> None:
    playbook = watched()
    for asked in (request("kernel_info"), request("comm_info")):
        (told,) = playbook.when(eve.sends(asked)).of_kind(ToClient)
        assert told.message.content()["status"] == "ok"
    history = request("history", hist_access_type="tail", n=10, output=False, raw=True)
    assert playbook.when(eve.sends(history)).of_kind(ToKernel)[0].message is history


def test_an_onlooker_is_told_the_states_of_widgets() -> None:
    playbook = watched()
    opens = message(
        "comm_open",
        {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}},
        metadata={"version": "1.0.0"},
    )
    asks = message("comm_msg", {"comm_id": "control", "data": {"method": "request_states"}})
    closes = message("comm_close", {"comm_id": "control", "data": {}})
    playbook.when(eve.sends(opens), eve.sends(asks))
    (told,) = [c.message for c in playbook.of_kind(ToAll) if c.message.msg_type == "comm_msg"]
    assert told.content()["data"]["states"]["slider"]["state"] == {"value": 7}
    playbook.when(eve.sends(closes))
    one = message("comm_msg", {"comm_id": "slider", "data": {"method": "request_state"}})
    playbook.when(eve.sends(one))
    (told,) = [c.message for c in playbook.of_kind(ToAll) if c.message.msg_type == "comm_msg"]
    assert told.content()["data"]["state"] == {"value": 7}


@pytest.mark.parametrize(
    "touches",
    [
        message("comm_msg", {"comm_id": "slider", "data": {"method": "update", "state": {}}}),
        message("comm_msg", {"comm_id": "slider", "data": {"method": "custom", "content": 1}}),
        message("comm_close", {"comm_id": "slider", "data": {}}),
        message("comm_open", {"comm_id": "new", "target_name": "jupyter.widget", "data": {}}),
        message("comm_msg", {}),
    ],
)
def test_what_it_does_to_a_widget_is_only_said_to_be_done(touches: object) -> None:
    playbook = watched().when(eve.sends(touches))  # type: ignore[arg-type]
    states = [c.message.content()["execution_state"] for c in playbook.of_kind(ToAll)]
    assert states == ["busy", "idle"]
    assert playbook.of_kind(ToKernel) == []


def test_it_answers_no_prompts() -> None:
    assert watched().when(eve.sends(message("input_reply", {"value": "1"}))).of_kind(ToKernel) == []


def test_it_may_leave() -> None:
    asked = request("shutdown", restart=False)
    (told,) = watched().when(eve.sends(asked)).of_kind(ToClient)
    assert told.message.content() == {"status": "ok", "restart": False}
