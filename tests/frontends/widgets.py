"""What frontends with widgets say and hear: comm messages in ipywidgets' own words (schema 2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from ipywidgets.widgets.widget import _put_buffers, _remove_buffers

from tests.frontends.kmux_process import Client

CONTROL = "jupyter.widget.control"
"""The target by which a frontend asks for the states of all models."""

CONTROL_VERSION = {"version": "1.0.0"}
"""Metadata of the comm_open on it; ipywidgets closes it at another major version."""

OWN_STATES = "print(json.dumps(ipywidgets.Widget.get_manager_state()['state']))"
"""The kernel's own word, binary parts in base64."""


def update(comm_id: str, value: int) -> dict[str, Any]:
    """What a frontend sends whose slider is moved."""
    data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
    return {"comm_id": comm_id, "data": data}


def moves(comm_id: str, value: int) -> Callable[[dict[str, Any]], bool]:
    """Whether a message moves the slider of a frontend that hears it."""

    def is_it(message: dict[str, Any]) -> bool:
        content = message["content"]
        if message["msg_type"] != "comm_msg" or content["comm_id"] != comm_id:
            return False
        data = content["data"]
        return data["method"] in ("update", "echo_update") and data["state"] == {"value": value}

    return is_it


def on_comm(comm_id: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a message is a comm_msg of this comm."""
    return lambda m: m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == comm_id


def opening(control_id: str) -> dict[str, Any]:
    """The content of the comm_open of a control comm."""
    return {"comm_id": control_id, "target_name": CONTROL, "data": {}}


def asking_states(control_id: str) -> dict[str, Any]:
    """The content of the comm_msg that asks for all states."""
    return {"comm_id": control_id, "data": {"method": "request_states"}}


def states_in(answer: dict[str, Any]) -> dict[str, Any]:
    """The states that a control comm's comm_msg brings, by model, with their buffers."""
    data = answer["content"]["data"]
    assert data["method"] == "update_states"
    _put_buffers(data["states"], data["buffer_paths"], list(map(bytes, answer["buffers"])))
    return {model_id: model["state"] for model_id, model in data["states"].items()}


def own_states(client: Client) -> dict[str, Any]:
    """What the kernel says of all models, as JupyterLab would put them together."""
    client.run("import json, ipywidgets")
    client.run(OWN_STATES)
    states: dict[str, Any] = {}
    for model_id, model in json.loads(client.text()).items():
        buffers = model.pop("buffers", [])
        paths = [buffer["path"] for buffer in buffers]
        raw = [base64.b64decode(buffer["data"]) for buffer in buffers]
        _put_buffers(model["state"], paths, raw)
        states[model_id] = model["state"]
    return states


def comparable(states: dict[str, Any]) -> Any:
    """Binary values of whatever type, with their places."""
    plain, paths, buffers = _remove_buffers(states)
    return plain, sorted(zip(map(str, paths), map(bytes, buffers), strict=True))
