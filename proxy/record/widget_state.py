"""The states of widgets as a notebook's metadata has them, with which they are shown again.

The format is that of @jupyter-widgets/schema, version 2: what is binary is beside each state, in
base64, with its path. Widgets that were closed are among them, as nbclient has it: kmux closes what
a kernel leaves behind, and the cells that show it remain.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from proxy.record.state import Comm
from proxy.session.comms import Field

MEDIA_TYPE = "application/vnd.jupyter.widget-state+json"


def widget_state(comms: Iterable[Comm]) -> dict[str, Any]:
    """Return what a notebook's ``metadata.widgets`` has of these comms; empty without widgets."""
    models = {comm.comm_id: model for comm in comms if (model := _model(comm)) is not None}
    if not models:
        return {}
    return {MEDIA_TYPE: {"state": models, "version_major": 2, "version_minor": 0}}


def _model(comm: Comm) -> dict[str, Any] | None:
    if comm.fields is None:
        return None
    state: dict[str, Any] = {}
    buffers: list[dict[str, Any]] = []
    for key, field in comm.fields.items():
        if not _read_into(state, key, field):
            continue
        for path, part in field.buffers:
            data = base64.b64encode(part).decode()
            buffers.append({"data": data, "encoding": "base64", "path": path})
    if "_model_name" not in state:
        return None
    model = {
        "model_name": state["_model_name"],
        "model_module": state.get("_model_module"),
        "model_module_version": state.get("_model_module_version"),
        "state": state,
    }
    return {**model, "buffers": buffers} if buffers else model


def _read_into(state: dict[str, Any], key: str, field: Field) -> bool:
    """Read one key's value, if it has JSON. Returns False where that is lost."""
    if field.value is None:
        return True
    try:
        state[key] = json.loads(bytes(field.value).decode("utf-8", "replace"))
    except ValueError:
        return False
    return True
