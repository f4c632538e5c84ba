"""A record that was written, read back into state: the reverse of ``trees.py``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from proxy.errors import StoreError
from proxy.message import ClientId, MsgId
from proxy.record import trees
from proxy.record.archive import Page
from proxy.record.state import (
    Comm,
    Display,
    Error,
    Execution,
    Kernel,
    LetGo,
    Output,
    Outputs,
    SessionRecord,
    Stream,
)
from proxy.record.values import Blob, Json, Large, Value
from proxy.session.comms import Field, Fields, fields_of

Fetch = Callable[[str], bytes]
"""Returns a blob by its name."""


def read_record(tree: Any, fetch: Fetch) -> tuple[SessionRecord, list[Page]]:
    """Make state of a document's tree, without what is in the archive.

    Raises :class:`StoreError` where it is not of this schema.
    """
    if not isinstance(tree, dict) or tree.get("schema") != trees.SCHEMA:
        raise StoreError("this record was written by another version of kmux")
    try:
        return _record(tree, fetch), [_page(page) for page in tree["archive"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"this record is incomplete: {error!r}") from None


def read_page(raw: bytes, fetch: Fetch) -> tuple[list[Execution], list[Comm]]:
    """Make state of a page of the archive. Raises :class:`StoreError` where it is none."""
    try:
        page = msgspec.json.decode(raw, type=dict[str, Any])
        cells = [_execution(tree) for tree in page["executions"]]
        return cells, [_comm(tree["comm_id"], tree, fetch) for tree in page["comms"]]
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"a page of the archive is damaged: {error!r}") from None


def time_of(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def client_of(text: str | None) -> ClientId | None:
    if text is None:
        return None
    parts = text.split("/")
    return ClientId(
        tuple(bytes.fromhex(p[2:]) if p.startswith("0x") else p.encode() for p in parts)
    )


def _record(tree: dict[str, Any], fetch: Fetch) -> SessionRecord:
    session = tree["session"]
    info = session["kernel_info"]
    record = SessionRecord(
        name=session["name"],
        kernel_name=session["kernel_name"],
        language=session["language"],
        environment_source=session["environment_source"],
        started=time_of(session["started"]) or 0.0,
        execution_state=session["status"],
        clients={
            _client(text): time_of(client["since"]) or 0.0
            for text, client in tree["clients"].items()
        },
        kernel=Kernel(
            number=session["kernel"],
            session=session["kernel_session"],
            info=None if info is None else _json(info),
            execution_count=session["execution_count"],
            began=time_of(session["kernel_began"]),
            ended=session["kernel_ended"],
        ),
        let_go=LetGo(**tree["let_go"]),
        missed=[(time_of(m["from"]) or 0.0, time_of(m["to"]) or 0.0) for m in tree["missed"]],
        not_durable_since=time_of(session["not_durable_since"]),
    )
    for number, cell in enumerate(tree["executions"], 1):
        record.executions[number] = _execution(cell)
    comms = (_comm(comm_id, each, fetch) for comm_id, each in tree["comms"].items())
    for comm in sorted(comms, key=lambda comm: comm.number):
        record.comms[comm.comm_id] = comm
    waiting = msgspec.json.decode(tree["queue"])
    record.queue = tuple((_client(w["client"]), MsgId(w["msg_id"])) for w in waiting)
    return record


def _client(text: str) -> ClientId:
    client = client_of(text)
    assert client is not None
    return client


def _large(tree: dict[str, Any]) -> Large:
    return Large.of(Blob(**{key: tree[key] for key in Blob.__struct_fields__}))


def _value(tree: Any) -> Value:
    if isinstance(tree, str):
        return tree
    return Json(tree["json"]) if "json" in tree else _large(tree)


def _json(tree: Any) -> Json | Large:
    return Json(tree) if isinstance(tree, str) else _large(tree)


def _text(tree: Any) -> str | Large:
    return tree if isinstance(tree, str) else _large(tree)


def _page(tree: dict[str, Any]) -> Page:
    return Page(
        large=_large(tree),
        executions=tree["executions"],
        outputs=tree["outputs"],
        bytes=tree["bytes"],
        until=time_of(tree["until"]) or 0.0,
    )


def _execution(tree: dict[str, Any]) -> Execution:
    return Execution(
        msg_id=MsgId(tree["msg_id"]),
        client=client_of(tree["client"]),
        session=tree["session"],
        code=_text(tree["code"]),
        cell_id=tree["cell_id"],
        store_history=tree["store_history"],
        state=tree["state"],
        end=tree["end"],
        queued=time_of(tree["queued"]),
        started=time_of(tree["started"]),
        completed=time_of(tree["completed"]),
        execution_count=tree["execution_count"],
        kernel=tree["kernel"],
        dropped_outputs=tree["dropped_outputs"],
        outputs=Outputs([_output(output) for output in tree["outputs"]]),
    )


def _output(tree: dict[str, Any]) -> Output:
    match tree["output_type"]:
        case "stream":
            chunks = [_text(chunk) for chunk in tree["text"]]
            return Stream(tree["name"], chunks, dropped_bytes=tree.get("dropped_bytes", 0))
        case "error":
            lines = tree["traceback"]
            return Error(
                ename=tree["ename"],
                evalue=_text(tree["evalue"]),
                traceback=list(lines) if isinstance(lines, list) else _large(lines),
            )
    return Display(
        output_type=tree["output_type"],
        data={key: _value(value) for key, value in tree["data"].items()},
        metadata=_json(tree["metadata"]),
        execution_count=tree.get("execution_count"),
        display_id=tree.get("display_id"),
    )


class _Data(msgspec.Struct, frozen=True):
    state: dict[str, msgspec.Raw] | None = None


class _Content(msgspec.Struct, frozen=True):
    """What of a comm_open's content is a widget's."""

    data: _Data = _Data()


_content_decoder = msgspec.json.Decoder(_Content)


def _comm(comm_id: str, tree: dict[str, Any], fetch: Fetch) -> Comm:
    comm = Comm(
        comm_id=comm_id,
        number=tree["number"],
        target_name=tree["target_name"],
        content=_json(tree["content"]),
        metadata=_json(tree["metadata"]),
        buffers=[_large(each) for each in tree["buffers"]],
        opener=client_of(tree["opener"]),
        opened=time_of(tree["opened"]) or 0.0,
        closed=time_of(tree["closed"]),
        kernel=tree["kernel"],
        holders=tuple(_client(text) for text in tree["holders"]),
    )
    for key, each in tree["state"].items():
        whole = isinstance(each, dict) and "buffers" in each
        value = each["json"] if whole else each
        buffers = [(part["path"], _large(part)) for part in each["buffers"]] if whole else []
        comm.values[key] = (None if value is None else _json(value), buffers)
    comm.fields = _fields(comm, fetch)
    if comm.fields is not None:
        comm.base = frozenset(comm.fields.keys() - comm.values.keys())
    return comm


def _fields(comm: Comm, fetch: Fetch) -> Fields | None:
    """Put a widget's present state together: what it was opened with, and what changed since."""
    try:
        opened = _content_decoder.decode(_bytes(comm.content, fetch))
    except msgspec.MsgspecError:
        return None
    if opened.data.state is None:
        return None
    fields = fields_of(opened.data.state, ())
    for key, (value, buffers) in comm.values.items():
        raw = None if value is None else msgspec.Raw(_bytes(value, fetch))
        parts = tuple((msgspec.json.decode(path), fetch(b.sha256)) for path, b in buffers)
        fields[key] = Field(raw, parts)
    return fields


def _bytes(value: Json | Large, fetch: Fetch) -> bytes:
    return fetch(value.sha256) if isinstance(value, Large) else value.text.encode()
