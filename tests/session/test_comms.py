"""The comm ledger against a naive one, and against what ipywidgets' own functions make of it."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets.widget import _put_buffers, _remove_buffers

from proxy.message import Message
from proxy.session import comms as module
from proxy.session.comms import Comms, read, write
from tests.messages import message
from tests.session.ledger import fold


def opened(
    comm_id: str = "1",
    state: dict[str, Any] | None = None,
    target_name: str = "jupyter.widget",
    **data: Any,
) -> Message:
    """A comm_open as ipywidgets sends it: binary values travel as buffers."""
    buffers: list[bytes] = []
    if state is not None:
        state, paths, buffers = _remove_buffers(copy.deepcopy(state))
        data |= {"state": state, "buffer_paths": paths}
    content = {"comm_id": comm_id, "target_name": target_name, "data": data, "target_module": None}
    return message("comm_open", content, buffers=buffers, metadata={"version": "2.1.0"})


def update(state: dict[str, Any], comm_id: str = "1", method: str = "update") -> Message:
    state, paths, buffers = _remove_buffers(copy.deepcopy(state))
    data = {"method": method, "state": state, "buffer_paths": paths}
    return message("comm_msg", {"comm_id": comm_id, "data": data}, buffers=buffers)


def state_of(comms: Comms, comm_id: str = "1") -> dict[str, Any]:
    """The state that a late joiner would put together."""
    comm = comms.get(comm_id)
    assert comm is not None
    raw, buffers = comm.present()
    data = json.loads(raw)["data"]
    _put_buffers(data["state"], data["buffer_paths"], list(map(bytes, buffers)))
    state: dict[str, Any] = data["state"]
    return state


def test_a_state_is_folded_key_by_key_with_its_buffers() -> None:
    comms = Comms()
    fold(comms, opened(state={"value": 3, "data": {"x": b"\x00\xff", "shape": [2]}, "_v": b"raw"}))
    fold(comms, update({"value": 4}))
    fold(comms, update({"data": {"x": b"new", "y": [b"a", 1, b"b"]}}, method="echo_update"))
    assert state_of(comms) == {
        "value": 4,
        "data": {"x": b"new", "y": [b"a", 1, b"b"]},
        "_v": b"raw",
    }


def test_what_else_an_open_message_has_stays() -> None:
    comms = Comms()
    fold(comms, said := opened(state={"a": 1}, more="kept"))
    comm = comms.get("1")
    assert comm is not None
    content = json.loads(comm.present()[0])
    assert content == json.loads(said.raw_content)
    assert comm.is_widget


def test_a_comm_of_another_library_is_kept_as_it_came() -> None:
    comms = Comms()
    fold(comms, said := opened(target_name="hv", plot=[1, 2]))
    content = fold(comms, update({"x": 1}))
    assert content.fields is not None
    comm = comms.get("1")
    assert comm is not None
    assert (comm.is_widget, comm.present()) == (False, (said.raw_content, ()))


def test_the_order_of_creation_is_kept_and_targets_are_told_apart() -> None:
    comms = Comms()
    for comm_id in ("layout", "style", "slider"):
        fold(comms, opened(comm_id, state={}))
    fold(comms, opened("other", target_name="hv"))
    fold(comms, update({"value": 1}, "layout"))
    fold(comms, message("comm_close", {"comm_id": "style", "data": {}}))
    assert [comm.comm_id for comm in comms] == ["layout", "slider", "other"]
    assert comms.info("hv") == {"status": "ok", "comms": {"other": {"target_name": "hv"}}}
    assert list(comms.info()["comms"]) == ["layout", "slider", "other"]
    assert "style" not in comms
    comms.clear()
    assert len(comms) == 0


def test_a_message_for_a_comm_that_is_not_there_is_nobodys() -> None:
    comms = Comms()
    fold(comms, update({"value": 1}))
    assert comms.close("1") is None
    assert comms.get("1") is None


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COMMS", 3)
    comms = Comms()
    for number in range(5):
        fold(comms, opened(str(number), state={}))
    assert [comm.comm_id for comm in comms] == ["2", "3", "4"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"comm_id": 1}',
        b'{"comm_id": "1", "data": [1]}',
        b'{"comm_id": "1", "data": {"state": 7}}',
        b'{"comm_id": "1", "data": {"state": {}, "buffer_paths": "x"}}',
    ],
)
@pytest.mark.parametrize("msg_type", ["comm_open", "comm_msg", "comm_close"])
def test_odd_content_is_no_state(msg_type: str, content: bytes) -> None:
    odd = message(msg_type)
    found = read(odd.__class__(odd.header, None, odd.raw_header, b"{}", b"{}", content))
    assert found is None or found.fields is None


values = st.recursive(
    st.one_of(st.integers(-9, 9), st.text("aé\n", max_size=3), st.none(), st.binary(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
states = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
steps = st.lists(
    st.tuples(st.sampled_from(["open", "update", "close"]), st.sampled_from("12"), states),
    max_size=12,
)


@given(steps)
def test_the_ledger_is_a_naive_replay(steps: list[tuple[str, str, dict[str, Any]]]) -> None:
    comms, naive = Comms(), dict[str, dict[str, Any]]()
    for what, comm_id, state in steps:
        if what == "open":
            naive[comm_id] = dict(state)
            fold(comms, opened(comm_id, state=state))
        elif what == "update":
            if comm_id in naive:
                naive[comm_id] |= state
            fold(comms, update(state, comm_id))
        else:
            naive.pop(comm_id, None)
            fold(comms, message("comm_close", {"comm_id": comm_id}))
    assert {comm.comm_id: state_of(comms, comm.comm_id) for comm in comms} == naive


@given(states)
def test_many_states_in_one_message_have_their_buffers_where_ipywidgets_has_them(
    state: dict[str, Any],
) -> None:
    content = read(opened(state=state))
    assert content is not None
    assert content.fields is not None
    raw, paths, buffers = write(content.fields, ["model", "state"])
    together = {"model": {"state": json.loads(msgspec.json.encode(raw))}}
    _put_buffers(together, paths, list(map(bytes, buffers)))
    assert together == {"model": {"state": state}}
