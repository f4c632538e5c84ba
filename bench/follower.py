"""The least that a client of the record can be: it asks for documents, and takes bytes.

What it takes is what kmux and the network take; what is in the bytes is looked at afterwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cbor2
import websocket
from automerge import core

from bench.errors import BenchError

_ID = "automerge:"
_ASKING: bytes = core.Document().generate_sync_message(core.SyncState()).encode()
"""What one says who has nothing of a document."""
_NAME = "bench"


@dataclass(frozen=True)
class BareJoin:
    """When the last byte of the present document was there, in seconds, and what is in it."""

    document: float
    models: int
    bytes: int


def join(url: str, root: str) -> BareJoin:
    """Connect, and take the root document and the one that it names."""
    begun = time.perf_counter()
    socket = websocket.create_connection(url, timeout=20)
    try:
        _send(socket, type="join", peerMetadata={}, supportedProtocolVersions=["1"])
        _heard(socket, "peer")
        _, named = _ask(socket, root)
        found, _ = _ask(socket, named["document"])
        took = time.perf_counter() - begun
    finally:
        socket.close()
    comms = _read(found)["comms"]
    models = [comm for comm in comms.values() if comm["closed"] is None]
    return BareJoin(took, len(models), len(found))


def _ask(socket: websocket.WebSocket, url: str) -> tuple[bytes, dict[str, Any]]:
    _send(socket, type="request", documentId=url.removeprefix(_ID), data=_ASKING)
    data: bytes = _heard(socket, "sync")["data"]
    return data, _read(data) if len(data) < 10_000 else {}


def _send(socket: websocket.WebSocket, **fields: Any) -> None:
    socket.send_binary(cbor2.dumps({"senderId": _NAME, "targetId": "kmux", **fields}))


def _heard(socket: websocket.WebSocket, kind: str) -> dict[str, Any]:
    message: dict[str, Any] = cbor2.loads(socket.recv())
    if message["type"] != kind:
        raise BenchError(f"kmux said {message['type']} where {kind} was expected")
    return message


def _read(data: bytes) -> dict[str, Any]:
    document = core.Document()
    document.receive_sync_message(core.SyncState(), core.Message.decode(data))
    found: dict[str, Any] = _tree(document, core.ROOT)
    return found


def _tree(document: core.Document, obj: bytes) -> Any:
    tree = {}
    for key in document.keys(obj):
        found = document.get(obj, key)
        assert found is not None
        value, inner = found
        if isinstance(value, tuple):
            tree[key] = value[1]
        else:
            tree[key] = _tree(document, inner) if value == core.ObjType.Map else []
    return tree
