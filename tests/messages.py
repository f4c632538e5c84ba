"""Messages as frontends and kernels send them, in the words of the tests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.message import Header, Message, MsgId

DATE = "2026-11-22T12:00:00.000000Z"

_numbers = itertools.count(1)


def message(
    msg_type: str,
    content: dict[str, Any] | None = None,
    *,
    parent: Message | None = None,
    msg_id: str | None = None,
    session: str | None = "frontend",
    metadata: dict[str, Any] | None = None,
    buffers: Sequence[bytes] = (),
    topic: bytes = b"",
    **more: Any,
) -> Message:
    """Make a message as it is after decoding; ``more`` are further keys of its header."""
    msg_id = msg_id or f"{session}_{next(_numbers)}"
    header = {
        "msg_id": msg_id,
        "msg_type": msg_type,
        "username": "someone",
        "session": session,
        "date": DATE,
        "version": "5.3",
        **more,
    }
    return Message(
        Header(MsgId(msg_id), msg_type, session, more.get("subshell_id")),
        parent.header if parent else None,
        json.dumps(header).encode(),
        parent.raw_header if parent else b"{}",
        json.dumps(metadata or {}).encode(),
        json.dumps(content or {}).encode(),
        tuple(buffers),
        topic,
    )


def request(msg_type: str, msg_id: str | None = None, **content: Any) -> Message:
    """A frontend's request; ``execute`` stands for execute_request."""
    return message(f"{msg_type}_request", content, msg_id=msg_id)


def cell(code: str = "1 + 1", msg_id: str | None = None) -> Message:
    """An execute_request."""
    return request("execute", msg_id, code=code, silent=False, stop_on_error=True)


def reply(to: Message, msg_type: str | None = None, **content: Any) -> Message:
    """The kernel's reply to a request."""
    msg_type = msg_type or to.msg_type.replace("_request", "_reply")
    return message(msg_type, {"status": "ok", **content}, parent=to, session="kernel")


def published(msg_type: str, parent: Message | None = None, **content: Any) -> Message:
    """What the kernel publishes on iopub."""
    topic = f"kernel.1234.{msg_type}".encode()
    return message(msg_type, content, parent=parent, session="kernel", topic=topic)


def status(state: str, parent: Message | None = None) -> Message:
    """An iopub status message of the kernel."""
    return published("status", parent, execution_state=state)


def stream(text: str, parent: Message | None = None) -> Message:
    """What a cell printed."""
    return published("stream", parent, name="stdout", text=text)


def as_json(raw: bytes | memoryview) -> Any:
    """Decode one of the JSON frames."""
    return msgspec.json.decode(raw)
