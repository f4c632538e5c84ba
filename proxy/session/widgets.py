"""What ipywidgets in the kernel would answer about its models, made from the ledger.

The contents are those of ipywidgets 8.1 (``Widget._handle_control_comm_msg`` and
``Widget.send_state``; model state protocol 2.1, control protocol 1.0).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.message import Message, Part
from proxy.session.comms import Comm, Fields, Path, fields_of, write

CONTROL_TARGET = "jupyter.widget.control"
CONTROL_VERSION = "1.0.0"
"""Of the control protocol: in the metadata of a control comm's comm_open."""
PROTOCOL_VERSION = "2.1.0"
"""Of the model state protocol; ipywidgets 8 has it in the metadata of each comm_open."""

_encoder = msgspec.json.Encoder()
_MODEL_KEYS = ("model_name", "model_module", "model_module_version")


def all_states(comm_id: str, comms: Iterable[Comm]) -> tuple[bytes, tuple[Part, ...]]:
    """Return content and buffers of the answer to ``request_states`` on this control comm."""
    states: dict[str, Any] = {}
    paths: list[Path] = []
    buffers: list[Part] = []
    for comm in comms:
        if comm.is_widget and comm.fields is not None:
            state, its_paths, its_buffers = write(comm.fields, [comm.comm_id, "state"])
            model = {key: state.get(f"_{key}") for key in _MODEL_KEYS}
            states[comm.comm_id] = {**model, "state": state}
            paths += its_paths
            buffers += its_buffers
    data = {"method": "update_states", "states": states, "buffer_paths": paths}
    return _encoder.encode({"data": data, "comm_id": comm_id}), tuple(buffers)


class _Model(msgspec.Struct, frozen=True):
    state: dict[str, msgspec.Raw] = {}


class _States(msgspec.Struct, frozen=True):
    states: dict[str, _Model] = {}
    buffer_paths: list[Path] = []


class _Content(msgspec.Struct, frozen=True):
    data: _States


_states_decoder = msgspec.json.Decoder(_Content)


def read_all_states(message: Message) -> dict[str, Fields]:
    """Return the states in an answer to ``request_states``, by comm_id, in its order."""
    content = message.content_as(_states_decoder)
    if content is None:
        return {}
    places: dict[str, list[tuple[Path, Part]]] = {}
    for path, buffer in zip(content.data.buffer_paths, message.buffers, strict=False):
        if path:  # [comm_id, "state", …]
            places.setdefault(str(path[0]), []).append((path[2:], buffer))
    return {
        comm_id: fields_of(model.state, places.get(comm_id, []))
        for comm_id, model in content.data.states.items()
    }


def one_state(comm: Comm) -> tuple[bytes, tuple[Part, ...]]:
    """Return content and buffers of the answer to ``request_state`` on a model's comm."""
    state, paths, buffers = write(comm.fields or {})
    data = {"method": "update", "state": state, "buffer_paths": paths}
    return _encoder.encode({"data": data, "comm_id": comm.comm_id}), tuple(buffers)
