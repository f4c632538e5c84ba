"""Facts as a session tells them, to be folded in tests: by hand, and at random."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from proxy.message import ClientId, Message, MsgId
from proxy.record.folding import Folding
from proxy.record.state import SessionRecord
from proxy.record.values import Large
from proxy.session import facts
from proxy.session.comms import read
from tests.messages import message, request

ALICE, BOB = ClientId((b"zmq", b"alice")), ClientId((b"zmq", b"\x00\x01/"))
LIMIT = 64
"""From where on a value is a blob, here."""


class Store:
    """A blob store in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, values: list[Large]) -> None:
        for value in values:
            value.unpack()
            assert isinstance(value.part, bytes | memoryview), "what can be stored"
            data = bytes(value.part)
            assert value.size == len(data)
            value.sha256 = hashlib.sha256(data).hexdigest()
            value.part = None
            self.blobs[value.sha256] = data

    def get(self, sha256: str) -> bytes:
        return self.blobs[sha256]


def new_folding() -> Folding:
    folding = Folding(SessionRecord("session", "python3", started=1.5), LIMIT)
    folding.take(facts.KernelBegan(at=1.0, found=False))
    return folding


def queued(
    code: str,
    msg_id: str,
    *,
    client: ClientId = ALICE,
    at: float = 2.0,
    cell_id: str | None = None,
    **more: Any,
) -> facts.CellQueued:
    metadata = {"cellId": cell_id} if cell_id is not None else {}
    content = {"code": code, **more}
    sent = message("execute_request", content, msg_id=msg_id, metadata=metadata)
    return facts.CellQueued(at=at, client=client, message=sent)


def sent(msg_id: str, client: ClientId = ALICE, at: float = 3.0) -> facts.CellSent:
    return facts.CellSent(at=at, client=client, msg_id=MsgId(msg_id))


def ended(
    msg_id: str, end: str = "ok", client: ClientId = ALICE, at: float = 4.0
) -> facts.CellEnded:
    return facts.CellEnded(at=at, client=client, msg_id=MsgId(msg_id), end=end)


def says(msg_type: str, parent: str, at: float = 3.5, **content: Any) -> facts.Published:
    """The kernel publishes an output of this cell."""
    cell = request("execute", parent)
    return facts.Published(at=at, message=message(msg_type, content, parent=cell))


def prints(text: str, parent: str, name: str = "stdout") -> facts.Published:
    return says("stream", parent, name=name, text=text)


def shows(data: dict[str, Any], parent: str, display_id: str | None = None) -> facts.Published:
    transient = {"display_id": display_id} if display_id else {}
    return says("display_data", parent, data=data, metadata={}, transient=transient)


def opens(
    comm_id: str,
    state: dict[str, Any] | None = None,
    *,
    opener: ClientId | None = None,
    paths: list[list[Any]] | None = None,
    buffers: tuple[bytes, ...] = (),
    target: str = "jupyter.widget",
) -> facts.CommOpened:
    data = {"state": state, "buffer_paths": paths or []} if state is not None else {"any": 1}
    content = {"comm_id": comm_id, "target_name": target, "data": data}
    opened: Message = message("comm_open", content, buffers=buffers, session="kernel")
    found = read(opened)
    assert found is not None
    return facts.CommOpened(
        at=5.0,
        comm_id=comm_id,
        target_name=target,
        opener=opener,
        message=opened,
        fields=found.fields,
    )


def changes(
    comm_id: str,
    state: dict[str, Any],
    paths: list[list[Any]] | None = None,
    buffers: tuple[bytes, ...] = (),
) -> facts.CommChanged:
    data = {"method": "update", "state": state, "buffer_paths": paths or []}
    said = message("comm_msg", {"comm_id": comm_id, "data": data}, buffers=buffers)
    found = read(said)
    assert found is not None
    assert found.fields is not None
    return facts.CommChanged(at=6.0, comm_id=comm_id, fields=found.fields)


def closes(comm_id: str) -> facts.CommClosed:
    return facts.CommClosed(at=7.0, comm_id=comm_id)


def info(session: str = "kernel", at: float = 1.2) -> facts.KernelTold:
    content = msgspec.json.encode({"language_info": {"name": "python"}, "banner": "x" * 100})
    return facts.KernelTold(at=at, session=session, content=content)


CELLS = ("cell-1", "cell-2", "cell-3")
COMMS = ("comm-1", "comm-2", "output")

_cell = st.sampled_from(CELLS)
_comm = st.sampled_from(COMMS)
_text = st.sampled_from(["a", "line\n", "é\ud800", "x" * (LIMIT - 1), "long" * LIMIT, "", "日本"])
_json: st.SearchStrategy[Any] = st.sampled_from([1, None, [1, "a"], {"k": "v" * LIMIT}, "t", 1.5])
_png = st.sampled_from(["iVBO", "iVBO\n", "no base64", "AAAA" * LIMIT])
_display_id = st.sampled_from(["d1", "d2", None])
_mime = st.sampled_from(["text/plain", "application/json", "application/vnd.x+json"])


def _one(make: Callable[..., facts.Fact], *values: st.SearchStrategy[Any]) -> Any:
    return st.builds(make, *values)


def _update_display(display_id: str, text: str, parent: str) -> facts.Published:
    data = {"text/plain": text}
    transient = {"display_id": display_id}
    return says("update_display_data", parent, data=data, metadata={"m": 1}, transient=transient)


def _binary(comm_id: str, data: bytes) -> facts.CommChanged:
    return changes(comm_id, {}, [["value"]], (data,))


any_fact: st.SearchStrategy[facts.Fact] = st.one_of(
    _one(queued, _text, _cell),
    _one(sent, _cell),
    _one(ended, _cell, st.sampled_from(["ok", "error", "aborted", "interrupted", "lost"])),
    _one(lambda parent: says("execute_input", parent, code="1", execution_count=3), _cell),
    _one(prints, _text, _cell, st.sampled_from(["stdout", "stderr"])),
    _one(lambda mime, value, p, d: shows({mime: value}, p, d), _mime, _json, _cell, _display_id),
    _one(lambda png, p: shows({"image/png": png}, p), _png, _cell),
    _one(_update_display, st.sampled_from(["d1", "d2"]), _text, _cell),
    _one(lambda p, wait: says("clear_output", p, wait=wait), _cell, st.booleans()),
    _one(lambda p, text: says("error", p, ename="E", evalue=text, traceback=[text]), _cell, _text),
    _one(lambda c, v: opens(c, {"value": v, "other": 1}), _comm, _json),
    _one(
        lambda v: opens("output", {"_model_name": "OutputModel", "msg_id": v, "outputs": []}),
        st.sampled_from(["", "cell-1"]),
    ),
    _one(lambda c: opens(c, None, target="mine", buffers=(b"\x00",)), _comm),
    _one(lambda c, v: changes(c, {"value": v}), _comm, _json),
    _one(lambda v: changes("output", {"msg_id": v}), st.sampled_from(["", "cell-1", "cell-2"])),
    _one(_binary, _comm, st.sampled_from([b"", b"\x00\xff", b"b" * 3 * LIMIT])),
    _one(closes, _comm),
    _one(info, st.sampled_from(["kernel", "another"])),
    _one(lambda found: facts.KernelBegan(at=9.0, found=found), st.sampled_from([True, False])),
)

any_facts = st.lists(any_fact, max_size=60)


def as_json(tree: Any) -> Any:
    """A tree as JSON has it: what JavaScript would see."""
    return json.loads(json.dumps(tree))
