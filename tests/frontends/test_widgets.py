"""Real ipywidgets on a shared kernel: sliders that move everywhere, refusals, late joiners."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from ipywidgets.widgets.widget import _put_buffers, _remove_buffers

from tests.frontends.kmux_process import Client, Workplace

pytestmark = pytest.mark.timeout(120)

MODELS = """
import ipywidgets, json, time
sliders = [ipywidgets.IntSlider(number) for number in range(30)]
images = [ipywidgets.Image(value=bytes(range(256)) * 4, format="png") for _ in range(10)]
sliders[0].value = 77
images[0].value = b"\\x00\\xffchanged"
"""
"""Each has a layout, a slider a style as well: 110 models."""

OWN_STATES = "print(json.dumps(ipywidgets.Widget.get_manager_state()['state']))"
"""The kernel's own word, binary parts in base64."""


def send(client: Client, msg_type: str, content: dict[str, Any]) -> str:
    """Send a comm message on shell; returns its msg_id."""
    sent = client.session.msg(msg_type, content)
    client.shell_channel.send(sent)
    msg_id: str = sent["header"]["msg_id"]
    return msg_id


def slide(client: Client, comm_id: str, value: int) -> str:
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    return send(client, "comm_msg", {"comm_id": comm_id, "data": data})


def hear_comm(client: Client, comm_id: str) -> dict[str, Any]:
    """Wait for the next comm_msg on a comm."""
    return client.hear(
        lambda m: m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == comm_id, "comm_msg"
    )


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
        closed = send(qtconsole, "comm_close", {"comm_id": comm_id, "data": {}})
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
        send(late, "comm_msg", asked)
        assert hear_comm(late, comm_id)["content"]["data"]["state"]["value"] == 6


def own_states(client: Client) -> dict[str, Any]:
    """What the kernel says of all models, as JupyterLab would put them together."""
    client.run(OWN_STATES)
    states: dict[str, Any] = {}
    for model_id, model in json.loads(client.text()).items():
        buffers = model.pop("buffers", [])
        paths = [buffer["path"] for buffer in buffers]
        raw = [base64.b64decode(buffer["data"]) for buffer in buffers]
        _put_buffers(model["state"], paths, raw)
        states[model_id] = model["state"]
    return states


def ask_for_states(late: Client) -> tuple[dict[str, Any], float]:
    """As JupyterLab does when a window opens. Returns states and seconds."""
    control = f"control-{late.session.session}"
    begun = time.perf_counter()
    target = {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}
    send(late, "comm_open", target)
    send(late, "comm_msg", {"comm_id": control, "data": {"method": "request_states"}})
    heard = hear_comm(late, control)
    took = time.perf_counter() - begun
    send(late, "comm_close", {"comm_id": control, "data": {}})
    data = heard["content"]["data"]
    _put_buffers(data["states"], data["buffer_paths"], list(map(bytes, heard["buffers"])))
    return {model_id: model["state"] for model_id, model in data["states"].items()}, took


def test_late_joiners_of_a_busy_kernel_get_what_the_kernel_would_say(workplace: Workplace) -> None:
    with workplace.run() as kmux:
        alice = kmux.client()
        alice.run(MODELS)
        cell = alice.execute("print('begun', flush=True); time.sleep(8)")
        assert alice.hear_stream(cell) == "begun\n"
        late = [kmux.client(), kmux.client()]
        answers = [ask_for_states(client) for client in late]
        infos = [client.answer(client.get_shell_msg, client.comm_info()) for client in late]
        assert kmux.ps()["status"] == "busy", "the cell still runs"
        assert alice.finish(cell)["status"] == "ok"
        wanted = own_states(alice)
        assert len(wanted) >= 110
        for states, _ in answers:
            assert _comparable(states) == _comparable(wanted)
        for info in infos:
            assert set(info["content"]["comms"]) == set(wanted)
        assert max(took for _, took in answers) < 4, "the cell takes eight seconds"


def _comparable(states: dict[str, Any]) -> Any:
    """Binary values of whatever type, with their places."""
    plain, paths, buffers = _remove_buffers(states)
    return plain, sorted(zip(map(str, paths), map(bytes, buffers), strict=True))
