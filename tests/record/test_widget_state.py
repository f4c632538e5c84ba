"""Widgets in a notebook's metadata, as nbclient writes them and JupyterLab reads them."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from proxy.record.widget_state import MEDIA_TYPE, widget_state
from proxy.session.comms import Field
from tests.record import facts as f
from tests.record.recorded import Recorded

STATE: dict[str, Any] = {
    "_model_name": "IntSliderModel",
    "_model_module": "@jupyter-widgets/controls",
    "_model_module_version": "2.0.0",
    "value": 3,
}


def states(recorded: Recorded) -> dict[str, Any]:
    made = widget_state(recorded.whole.record.comms.values())
    assert {key: made[MEDIA_TYPE][key] for key in ("version_major", "version_minor")} == {
        "version_major": 2,
        "version_minor": 0,
    }
    state: dict[str, Any] = made[MEDIA_TYPE]["state"]
    return state


def test_a_state_is_the_present_one() -> None:
    recorded = Recorded(f.opens("c", STATE), f.changes("c", {"value": 77, "long": "x" * 1000}))
    assert states(recorded) == {
        "c": {
            "model_name": "IntSliderModel",
            "model_module": "@jupyter-widgets/controls",
            "model_module_version": "2.0.0",
            "state": {**STATE, "value": 77, "long": "x" * 1000},
        }
    }


def test_what_is_binary_is_beside_it_with_its_path() -> None:
    opened = f.opens("c", STATE, paths=[["picture"], ["data", 0, "x"]], buffers=(b"\x00", b"old"))
    recorded = Recorded(opened, f.changes("c", {"data": [{}]}, [["data", 0, "x"]], (b"new" * 99,)))
    assert states(recorded)["c"]["buffers"] == [
        {"data": base64.b64encode(part).decode(), "encoding": "base64", "path": path}
        for path, part in ((["picture"], b"\x00"), (["data", 0, "x"], b"new" * 99))
    ]
    recorded.take(f.changes("c", {"data": "no binary any more", "picture": None}))
    assert "buffers" not in states(recorded)["c"], "a value takes its buffers along"


def test_closed_widgets_are_kept_and_other_comms_are_none() -> None:
    recorded = Recorded(f.opens("c", STATE), f.closes("c"), f.opens("other", None, target="mine"))
    recorded.take(f.opens("odd", {"no model": 1}))
    assert list(states(recorded)) == ["c"]
    assert widget_state([]) == {}


def test_a_value_that_is_lost_costs_that_value() -> None:
    recorded = Recorded(f.opens("c", STATE), f.changes("c", {"value": 4}))
    comm = recorded.whole.record.comms["c"]
    assert comm.fields is not None
    comm.fields["value"] = Field(msgspec.Raw(b""))
    state = states(recorded)["c"]["state"]
    assert "value" not in state
    assert state["_model_name"] == "IntSliderModel"
