"""The ledger's answers against the ones of ipywidgets itself, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest
from comm.base_comm import BaseComm
from ipywidgets.widgets import widget as ipywidgets_widget

from proxy.message import Message
from proxy.session.comms import Comms
from proxy.session.widgets import all_states, one_state
from tests.messages import message
from tests.session.ledger import fold

Answer = tuple[dict[str, Any], list[bytes]]


class RecordedComm(BaseComm):
    """The kernel's end of a comm; what it publishes goes into a list."""

    published: list[Message] = []  # noqa: RUF012 - all comms of the test

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
        **keys: Any,
    ) -> None:
        content = {"data": data or {}, "comm_id": self.comm_id, **keys}
        raw = [bytes(buffer) for buffer in buffers or ()]
        self.published.append(message(msg_type, content, metadata=metadata or {}, buffers=raw))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Message]]:
    """What ipywidgets' comms publish."""
    RecordedComm.published = []
    monkeypatch.setattr(ipywidgets_widget.comm, "create_comm", RecordedComm)
    ipywidgets.Widget.close_all()
    yield RecordedComm.published
    ipywidgets.Widget.close_all()


def ledger(published: list[Message]) -> Comms:
    comms = Comms()
    for said in published:
        fold(comms, said)
    return comms


def answer(said: Message) -> Answer:
    return json.loads(said.raw_content), [bytes(buffer) for buffer in said.buffers]


def sorted_by_path(content: dict[str, Any], buffers: list[bytes]) -> Any:
    """The same, whatever the order of the buffers is."""
    data = content["data"]
    places = sorted(zip(map(str, data.pop("buffer_paths")), buffers, strict=True))
    return content, places


def some_widgets() -> list[ipywidgets.Widget]:
    slider = ipywidgets.IntSlider(3, description="é")
    image = ipywidgets.Image(value=bytes(range(256)), format="png")
    box = ipywidgets.VBox([slider, image, ipywidgets.Button(description="go")])
    slider.value = 7
    image.value = b"\x00other"
    ipywidgets.Text("gone").close()
    return [slider, image, box]


def test_all_states(published: list[Message]) -> None:
    some_widgets()
    comms = ledger(published)
    control = RecordedComm(comm_id="control", target_name="jupyter.widget.control")
    ipywidgets.Widget.handle_control_comm_opened(control, {"metadata": {"version": "1.0.0"}})
    ipywidgets.Widget._handle_control_comm_msg({"content": {"data": {"method": "request_states"}}})
    wanted = sorted_by_path(*answer(published[-1]))
    raw, buffers = all_states("control", comms)
    assert sorted_by_path(json.loads(raw), [bytes(b) for b in buffers]) == wanted
    assert len(wanted[0]["data"]["states"]) > 5


def test_one_state(published: list[Message]) -> None:
    for widget in some_widgets():
        comms = ledger(published)
        widget.send_state()
        wanted = sorted_by_path(*answer(published[-1]))
        comm = comms.get(widget.model_id)
        assert comm is not None
        raw, buffers = one_state(comm)
        assert sorted_by_path(json.loads(raw), [bytes(b) for b in buffers]) == wanted


def test_a_ledger_without_widgets_has_no_states() -> None:
    raw, buffers = all_states("control", Comms())
    assert json.loads(raw) == {
        "data": {"method": "update_states", "states": {}, "buffer_paths": []},
        "comm_id": "control",
    }
    assert buffers == ()
