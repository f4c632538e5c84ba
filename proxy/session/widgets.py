"""What ipywidgets in the kernel would answer about its models, made from the ledger.

The contents are those of ipywidgets 8.1 (``Widget._handle_control_comm_msg`` and
``Widget.send_state``; model state protocol 2.1, control protocol 1.0).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.message import Part
from proxy.session.comms import Comm, Path, write

CONTROL_TARGET = "jupyter.widget.control"

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


def one_state(comm: Comm) -> tuple[bytes, tuple[Part, ...]]:
    """Return content and buffers of the answer to ``request_state`` on a model's comm."""
    state, paths, buffers = write(comm.fields or {})
    data = {"method": "update", "state": state, "buffer_paths": paths}
    return _encoder.encode({"data": data, "comm_id": comm.comm_id}), tuple(buffers)
