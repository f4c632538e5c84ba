"""The comm ledger: every open comm whole, with its state as it is now.

Theory (Jupyter messaging, "Custom messages"; ipywidgets' model state protocol 2.1): a comm is
opened once, by the kernel on iopub or by a frontend on shell, and what it means is between its
two ends. A comm whose open message has a ``state`` is a widget model's: ``update`` and
``echo_update`` messages replace keys of the state, and what is binary in it travels in buffers,
whose places ``buffer_paths`` names. The ledger folds these; custom messages pass and leave no
trace. What was folded is what the kernel would answer if it were asked, so a late joiner is
answered from here, also while the kernel is busy.

Values stay the JSON that they came as: a state is folded key by key and never parsed deeper.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from proxy.message import Message, Part

MAX_COMMS = 100_000
"""A kernel that has more has forgotten to close them; the oldest are forgotten here as well."""
WIDGET_TARGET = "jupyter.widget"

Path = list[str | int]


class _Data(msgspec.Struct, frozen=True):
    """What of a comm message's data is a widget's."""

    method: str = ""
    state: dict[str, msgspec.Raw] | None = None
    buffer_paths: list[Path] = []


class _Content(msgspec.Struct, frozen=True):
    """What is read of a comm_open, comm_msg or comm_close."""

    comm_id: str
    target_name: str = ""
    data: _Data = _Data()


class _OtherContent(msgspec.Struct, frozen=True):
    """The same where the data is another library's, and none of our business."""

    comm_id: str
    target_name: str = ""


_decoder = msgspec.json.Decoder(_Content)
_other_decoder = msgspec.json.Decoder(_OtherContent)
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


class Field(msgspec.Struct, frozen=True):
    """One key of a state: its JSON, and the binary parts with their places in it.

    Where all of it is binary it has no JSON: such a key is in ``buffer_paths`` only.
    """

    value: msgspec.Raw | None
    buffers: tuple[tuple[Path, Part], ...] = ()


Fields = dict[str, Field]


class CommMessage(msgspec.Struct, frozen=True):
    """A comm message, decoded as far as kmux reads it."""

    comm_id: str
    target_name: str = ""
    method: str = ""
    fields: Fields | None = None
    """The state that it has, or None."""


def read(message: Message) -> CommMessage | None:
    """Read a comm_open, comm_msg or comm_close; None where it is not what it should be."""
    content = message.content_as(_decoder)
    if content is None:
        other = message.content_as(_other_decoder)
        return CommMessage(other.comm_id, other.target_name) if other is not None else None
    data, fields = content.data, None
    if data.state is not None:
        fields = fields_of(data.state, zip(data.buffer_paths, message.buffers, strict=False))
    return CommMessage(content.comm_id, content.target_name, data.method, fields)


def fields_of(state: dict[str, msgspec.Raw], buffers: Iterable[tuple[Path, Part]]) -> Fields:
    """Put a state's JSON and its buffers, each with its path, together key by key."""
    binary: dict[str, list[tuple[Path, Part]]] = {}
    for path, buffer in buffers:
        if path:
            binary.setdefault(str(path[0]), []).append((path, buffer))
    # Copied out of the message: one small key must not keep a large one's bytes.
    fields = {key: Field(raw.copy(), tuple(binary.pop(key, ()))) for key, raw in state.items()}
    return fields | {key: Field(None, tuple(places)) for key, places in binary.items()}


def write(
    fields: Fields, prefix: Path | None = None
) -> tuple[dict[str, msgspec.Raw], list[Path], list[Part]]:
    """Return state, buffer_paths and buffers; ``prefix`` stands ahead of each path."""
    paths: list[Path] = []
    buffers: list[Part] = []
    for field in fields.values():
        for path, buffer in field.buffers:
            paths.append([*(prefix or ()), *path])
            buffers.append(buffer)
    state = {key: field.value for key, field in fields.items() if field.value is not None}
    return state, paths, buffers


class Comm:
    """One open comm."""

    __slots__ = ("comm_id", "fields", "opened", "target_name")

    def __init__(self, opened: Message, content: CommMessage) -> None:
        self.opened = opened
        """The comm_open as it came."""
        self.comm_id = content.comm_id
        self.target_name = content.target_name
        self.fields = content.fields
        """The state as it is now; None where this comm has none."""

    @property
    def is_widget(self) -> bool:
        return self.target_name == WIDGET_TARGET and self.fields is not None

    def present(self) -> tuple[bytes, tuple[Part, ...]]:
        """Return content and buffers of a comm_open that has the present state."""
        if self.fields is None:
            return bytes(self.opened.raw_content), self.opened.buffers
        content = _object_decoder.decode(self.opened.raw_content)
        data = _object_decoder.decode(content["data"])
        state, paths, buffers = write(self.fields)
        changed: dict[str, Any] = {**data, "state": state, "buffer_paths": paths}
        return _encoder.encode({**content, "data": changed}), tuple(buffers)


class Comms:
    """The open comms by id, in the order in which they were opened."""

    def __init__(self) -> None:
        self._open: dict[str, Comm] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Comm]:
        return iter(self._open.values())

    def __contains__(self, comm_id: str) -> bool:
        return comm_id in self._open

    def get(self, comm_id: str) -> Comm | None:
        return self._open.get(comm_id)

    def is_widget(self, comm_id: str) -> bool:
        """Whether this is the open comm of a widget's model."""
        comm = self._open.get(comm_id)
        return comm is not None and comm.is_widget

    def open(self, message: Message, content: CommMessage) -> Comm | None:
        """A comm was opened. Returns one that is forgotten for it.

        One that is opened again keeps its place and loses its state.
        """
        self._open[content.comm_id] = Comm(message, content)
        if len(self._open) > MAX_COMMS:
            return self._open.pop(next(iter(self._open)))
        return None

    def put_first(self, comm_ids: Iterable[str]) -> None:
        """These were opened before the others, in this order."""
        first = {i: self._open[i] for i in comm_ids if i in self._open}
        self._open = {**first, **self._open}

    def fold(self, comm_id: str, fields: Fields) -> bool:
        """Keys of a widget's state have new values. Returns whether there is such a widget."""
        comm = self._open.get(comm_id)
        if comm is None or comm.fields is None:
            return False
        comm.fields.update(fields)
        return True

    def close(self, comm_id: str) -> Comm | None:
        """A comm is closed. Returns what it was."""
        return self._open.pop(comm_id, None)

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms."""
        self._open.clear()

    def info(self, target_name: Any = None) -> dict[str, Any]:
        """Return the content of a comm_info_reply, of all comms or of those with this target."""
        comms = {
            comm.comm_id: {"target_name": comm.target_name}
            for comm in self
            if target_name is None or comm.target_name == target_name
        }
        return {"status": "ok", "comms": comms}
