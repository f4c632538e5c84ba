"""The shape of the record in a document: state as trees of plain values (docs/record.md).

One shape for everything that is written: the live document, and the pages of the archive.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from proxy.message import ClientId
from proxy.record.document import Tree
from proxy.record.state import Comm, Display, Error, Execution, LetGo, Output, SessionRecord, Stream
from proxy.record.values import Json, Large, Value

SCHEMA = "kmux.record/1"
ROOT_SCHEMA = "kmux.root/1"


def time_text(at: float | None) -> str | None:
    """Return a time as the protocol writes dates: ISO 8601, UTC."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def client_text(client: ClientId | None) -> str | None:
    """Return a client's id as text: the endpoint's tag and the routing identity."""
    if client is None:
        return None
    return "/".join(_identity_text(part) for part in client)


def _identity_text(identity: bytes) -> str:
    text = identity.decode("ascii", "replace")
    plain = text.isprintable() and text.isascii() and "/" not in text
    return text if plain and not text.startswith("0x") else f"0x{identity.hex()}"


def value_tree(value: Value) -> Tree:
    """A text is itself; other JSON is ``{json}``, a blob what names it."""
    if isinstance(value, Json):
        return {"json": value.text}
    return blob_tree(value) if isinstance(value, Large) else value


def blob_tree(large: Large) -> dict[str, Tree]:
    return msgspec.structs.asdict(large.blob)


def count_tree(count: int | None) -> int | None:
    """A kernel may count as it likes; what has more than 64 bits is no count."""
    return count if count is not None and -(2**63) <= count < 2**63 else None


def json_tree(value: Json | Large) -> Tree:
    """JSON where nothing else can be: its text, or a blob."""
    return blob_tree(value) if isinstance(value, Large) else value.text


def output_tree(output: Output) -> dict[str, Tree]:
    match output:
        case Stream():
            text: list[Tree] = [value_tree(chunk) for chunk in output.chunks]
            tree: dict[str, Tree] = {"output_type": "stream", "name": output.name, "text": text}
            if output.dropped_bytes:
                tree["dropped_bytes"] = output.dropped_bytes
            return tree
        case Display():
            tree = {
                "output_type": output.output_type,
                "data": {key: value_tree(value) for key, value in output.data.items()},
                "metadata": json_tree(output.metadata),
            }
            if output.output_type == "execute_result":
                tree["execution_count"] = count_tree(output.execution_count)
            if output.display_id is not None:
                tree["display_id"] = output.display_id
            return tree
        case Error():
            lines: Tree = (
                blob_tree(output.traceback)
                if isinstance(output.traceback, Large)
                else list(output.traceback)
            )
            return {
                "output_type": "error",
                "ename": output.ename,
                "evalue": value_tree(output.evalue),
                "traceback": lines,
            }


def field_of_execution(execution: Execution, name: str) -> Tree:
    """Return one field of an execution, other than its outputs."""
    match name:
        case "client":
            return client_text(execution.client)
        case "code":
            return value_tree(execution.code)
        case "execution_count":
            return count_tree(execution.execution_count)
        case "queued" | "started" | "completed":
            return time_text(getattr(execution, name))
    value: Tree = getattr(execution, name)
    return value


EXECUTION_FIELDS = (
    "msg_id",
    "client",
    "session",
    "cell_id",
    "code",
    "store_history",
    "state",
    "end",
    "queued",
    "started",
    "completed",
    "execution_count",
    "kernel",
    "dropped_outputs",
)


def execution_tree(execution: Execution) -> dict[str, Tree]:
    tree = {name: field_of_execution(execution, name) for name in EXECUTION_FIELDS}
    return {**tree, "outputs": [output_tree(output) for output in execution.outputs.items]}


def key_tree(comm: Comm, key: str) -> Tree:
    """Return the present value of one key of a widget's state: JSON, and what is binary in it."""
    value, buffers = comm.values[key]
    if not buffers:
        return None if value is None else json_tree(value)
    parts: list[Tree] = [{"path": path, **blob_tree(large)} for path, large in buffers]
    return {"json": None if value is None else json_tree(value), "buffers": parts}


def field_of_comm(comm: Comm, name: str) -> Tree:
    """Return one field of a comm, other than its state."""
    match name:
        case "content":
            return json_tree(comm.content)
        case "metadata":
            return json_tree(comm.metadata)
        case "buffers":
            return [blob_tree(large) for large in comm.buffers]
        case "opener":
            return client_text(comm.opener)
        case "holders":
            return [client_text(client) for client in comm.holders]
        case "opened" | "closed":
            return time_text(getattr(comm, name))
    value: Tree = getattr(comm, name)
    return value


COMM_FIELDS = (
    "number",
    "target_name",
    "content",
    "metadata",
    "buffers",
    "opener",
    "holders",
    "opened",
    "closed",
    "kernel",
)


def comm_tree(comm: Comm) -> dict[str, Tree]:
    tree = {name: field_of_comm(comm, name) for name in COMM_FIELDS}
    return {**tree, "state": {key: key_tree(comm, key) for key in comm.values}}


def session_tree(record: SessionRecord) -> dict[str, Tree]:
    kernel = record.kernel
    return {
        "name": record.name,
        "kernel_name": record.kernel_name,
        "language": record.language,
        "environment_source": record.environment_source,
        "started": time_text(record.started),
        "status": record.execution_state,
        "execution_count": count_tree(kernel.execution_count),
        "kernel": kernel.number,
        "kernel_session": kernel.session,
        "kernel_info": None if kernel.info is None else json_tree(kernel.info),
        "kernel_began": time_text(kernel.began),
        "kernel_ended": kernel.ended,
        "not_durable_since": time_text(record.not_durable_since),
    }


def clients_tree(record: SessionRecord) -> dict[str, Tree]:
    return {
        str(client_text(client)): {
            "name": _identity_text(client[-1]),
            "kind": client[0].decode("ascii", "replace"),
            "since": time_text(since),
        }
        for client, since in record.clients.items()
    }


def queue_tree(record: SessionRecord) -> str:
    """The cells that wait, as JSON: a list that shrinks at its head is Automerge's worst case."""
    waiting = [{"client": client_text(c), "msg_id": msg_id} for c, msg_id in record.queue]
    return msgspec.json.encode(waiting).decode()


def let_go_tree(let_go: LetGo) -> dict[str, Tree]:
    return {"executions": let_go.executions, "outputs": let_go.outputs, "bytes": let_go.bytes}


def missed_tree(record: SessionRecord) -> Any:
    return [{"from": time_text(begun), "to": time_text(over)} for begun, over in record.missed]
