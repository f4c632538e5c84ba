"""Real ipywidgets on a shared kernel: sliders that move everywhere, refusals, late joiners."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from tests.frontends.kmux_process import Client, Workplace
from tests.frontends.widgets import (
    CONTROL_VERSION,
    asking_states,
    comparable,
    on_comm,
    opening,
    own_states,
    states_in,
    update,
)

LATE_JOINERS = 9

pytestmark = pytest.mark.timeout(120)

MODELS = """
import ipywidgets, json, time
from comm import get_comm_manager as comm_manager
sliders = [ipywidgets.IntSlider(number) for number in range(30)]
images = [ipywidgets.Image(value=bytes(range(256)) * 4, format="png") for _ in range(10)]
sliders[0].value = 77
images[0].value = b"\\x00\\xffchanged"
"""
"""Each has a layout, a slider a style as well: 110 models."""


def slide(client: Client, comm_id: str, value: int) -> str:
    return client.send("shell", "comm_msg", update(comm_id, value))


def hear_comm(client: Client, comm_id: str) -> dict[str, Any]:
    """Wait for the next comm_msg on a comm."""
    return client.hear(on_comm(comm_id), "comm_msg")


def make_slider(client: Client) -> str:
    client.run("import ipywidgets; slider = ipywidgets.IntSlider(3)")
    client.run("print(slider.model_id)")
    return client.text().strip()


def value_of(client: Client) -> str:
    client.run("print(slider.value)")
    return client.text().strip()


def test_who_does_not_know_widgets_kills_none(workplace: Workplace) -> None:
    """qtconsole and Spyder answer every comm_open with comm_close (jupyter_client#263)."""
    with workplace.run() as kmux:
        lab, qtconsole = kmux.client(), kmux.client()
        comm_id = make_slider(lab)
        opened = qtconsole.hear(lambda m: m["msg_type"] == "comm_open", "comm_open")
        while opened["content"]["comm_id"] != comm_id:
            opened = qtconsole.hear(lambda m: m["msg_type"] == "comm_open", "comm_open")
        closed = qtconsole.send("shell", "comm_close", {"comm_id": comm_id, "data": {}})
        qtconsole.hear_status("idle", closed)
        qtconsole.hear_status("idle", slide(lab, comm_id, 5))
        assert value_of(lab) == "5"
        assert kmux.events("comm.close_withheld")


@pytest.mark.parametrize("echo", ["1", "0"])
def test_a_slider_that_one_moves_moves_for_the_others(workplace: Workplace, echo: str) -> None:
    """Also where ipywidgets does not repeat what a frontend did (JUPYTER_WIDGETS_ECHO=0)."""
    with workplace.run(JUPYTER_WIDGETS_ECHO=echo) as kmux:
        alice, bob = kmux.client(), kmux.client()
        comm_id = make_slider(alice)
        for client, other, value in ((alice, bob, 5), (bob, alice, 6)):
            moved = slide(client, comm_id, value)
            heard = hear_comm(other, comm_id)
            while heard["parent_header"]["msg_id"] != moved:
                heard = hear_comm(other, comm_id)
            assert heard["content"]["data"]["state"] == {"value": value}
        assert value_of(alice) == "6"
        late = kmux.client()
        asked = {"comm_id": comm_id, "data": {"method": "request_state"}}
        late.send("shell", "comm_msg", asked)
        assert hear_comm(late, comm_id)["content"]["data"]["state"]["value"] == 6


def ask_for_states(late: Client) -> tuple[dict[str, Any], float]:
    """As JupyterLab does when a window opens. Returns states and seconds."""
    control = f"control-{late.session.session}"
    begun = time.perf_counter()
    late.send("shell", "comm_open", opening(control), metadata=CONTROL_VERSION)
    late.send("shell", "comm_msg", asking_states(control))
    heard = hear_comm(late, control)
    took = time.perf_counter() - begun
    late.send("shell", "comm_close", {"comm_id": control, "data": {}})
    return states_in(heard), took


def ask(late: Client, question: Callable[[Client], str]) -> tuple[dict[str, Any], float]:
    """Ask something and return the answer's content, and seconds."""
    begun = time.perf_counter()
    content: dict[str, Any] = late.reply(question(late))["content"]
    return content, time.perf_counter() - begun


@pytest.mark.alone
def test_late_joiners_of_a_busy_kernel_get_what_the_kernel_would_say(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        alice = kmux.client()
        alice.run(MODELS)
        cell = alice.execute("print('begun', flush=True); time.sleep(30)")
        assert alice.hear_stream(cell) == "begun\n"
        seconds: dict[str, list[float]] = {"kernel_info": [], "comm_info": [], "states": []}
        all_states, all_comms, all_infos = [], [], []
        for late in [kmux.client() for _ in range(LATE_JOINERS)]:
            info, took = ask(late, Client.kernel_info)
            all_infos.append(info)
            seconds["kernel_info"].append(took)
            comms, took = ask(late, Client.comm_info)
            all_comms.append(comms["comms"])
            seconds["comm_info"].append(took)
            states, took = ask_for_states(late)
            all_states.append(comparable(states))
            seconds["states"].append(took)
        assert kmux.ps()["status"] == "busy", "the cell still runs"
        alice.ask_control("interrupt_request")
        assert alice.finish(cell)["status"] == "error"
        wanted = own_states(alice)
        assert len(wanted) >= 110
        assert all(states == comparable(wanted) for states in all_states)
        alice.run("print(json.dumps({c: x.target_name for c, x in comm_manager().comms.items()}))")
        own_comms = json.loads(alice.text())
        assert all(
            {c: {"target_name": target} for c, target in own_comms.items()} == comms
            for comms in all_comms
        )
        alice.run("print(json.dumps(get_ipython().kernel.kernel_info))")
        own_info = {**json.loads(alice.text()), "status": "ok"}
        for info in (own_info, *all_infos):
            info.pop("banner")  # it has another tip each time
            assert info == own_info
        assert all(median(took) <= 0.05 for took in seconds.values()), seconds
