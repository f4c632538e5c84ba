"""Comm messages, and a session in which there is a widget."""

from __future__ import annotations

from typing import Any

from proxy.message import Message
from proxy.session.commands import Command, ToAll
from tests.messages import as_json, message
from tests.session.playbook import (
    Frontend,
    Pattern,
    Playbook,
    kernel,
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


def control_open(comm_id: str, version: str = "1.0.0") -> Message:
    """As JupyterLab's widget manager opens it."""
    content = {"comm_id": comm_id, "target_name": "jupyter.widget.control", "data": {}}
    return message("comm_open", content, metadata={"version": version})


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
