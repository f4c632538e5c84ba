"""What a cell shows: outputs as a notebook has them, made of the kernel's messages.

Theory (nbformat 4.5, "Code cell outputs"; Jupyter messaging, "display_data", "clear_output"): each
output message adds one, and consecutive ones of a stream are a run. ``clear_output`` takes all
away, with ``wait`` when the next one comes. A display with a ``display_id`` can be replaced later,
wherever it was shown, by ``update_display_data`` or by another display of that id: its data and
metadata change, its place does not. An update that comes before its display is nobody's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from proxy.message import JSON_ERRORS, Message
from proxy.record.state import Display, Error, Output, Outputs, Stream
from proxy.record.values import INLINE_BYTES, Large, json_value, media_value, text_value

MAX_STREAM_BYTES = 64 * 1024 * 1024
"""Of one run; its beginning goes first. A terminal keeps a thousandth of that."""


DISPLAYS = frozenset({"display_data", "execute_result", "update_display_data"})
"""Messages that show something, and show it anew wherever something of their display_id is."""


class _Transient(msgspec.Struct, frozen=True):
    display_id: str | None = None


class _Content(msgspec.Struct, frozen=True):
    """What is read of an output message."""

    name: str = "stdout"
    text: str = ""
    data: dict[str, msgspec.Raw] = {}
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    transient: _Transient | None = None
    execution_count: int | None = None
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = []
    wait: bool = False
    code: str = ""


class _Listed(_Content, frozen=True):
    """An output in a list, as a notebook or an Output widget has it."""

    output_type: str = ""


_decoder = msgspec.json.Decoder(_Content)
_list_decoder = msgspec.json.Decoder(list[_Listed])


def read(message: Message) -> _Content | None:
    """Read an output message; None where it is not what it should be."""
    content = message.content_as(_decoder)
    if content is not None:
        return content
    try:  # as the kernel sends it: bytes that are no UTF-8
        text = bytes(message.raw_content).decode("utf-8", "replace")
        return _decoder.decode(text)
    except msgspec.MsgspecError:
        return None


def display_id_of(content: _Content) -> str | None:
    return content.transient.display_id if content.transient is not None else None


def output_of(msg_type: str, content: _Content, limit: int = INLINE_BYTES) -> Output | None:
    """Make the output that a message adds, or None where it adds none."""
    match msg_type:
        case "stream":
            return Stream(content.name, pending=[content.text])
        case "display_data" | "execute_result":
            return Display(
                output_type=msg_type,
                data={key: media_value(key, raw, limit) for key, raw in content.data.items()},
                metadata=json_value(bytes(content.metadata), limit),
                execution_count=content.execution_count,
                display_id=display_id_of(content),
            )
        case "error":
            lines: list[str] | Large = content.traceback
            if sum(map(len, content.traceback)) >= limit:
                raw = msgspec.json.encode(content.traceback)
                lines = Large("application/json", "json", len(raw), raw)
            return Error(content.ename, text_value(content.evalue, limit), lines)
    return None


def outputs_in(raw: bytes) -> list[Output]:
    """Make outputs of a list as a notebook has it, in JSON; none where it is no such list."""
    try:
        listed = _list_decoder.decode(raw)
    except JSON_ERRORS:
        return []
    made = (output_of(each.output_type, each, limit=sys.maxsize) for each in listed)
    return [output for output in made if output is not None]


def add(outputs: Outputs, output: Output) -> int:
    """Show one more. Returns its place."""
    if outputs.clears:
        clear(outputs)
    last = outputs.items[-1] if outputs.items else None
    if isinstance(output, Stream) and isinstance(last, Stream) and last.name == output.name:
        last.pending += output.pending
        return len(outputs.items) - 1
    outputs.items.append(output)
    return len(outputs.items) - 1


def clear(outputs: Outputs, *, wait: bool = False) -> None:
    """Take all away: now, or when the next one comes."""
    if wait:
        outputs.clears = True
        return
    outputs.clears = False
    outputs.items.clear()
    outputs.stale.clear()
    outputs.cleared |= outputs.written > 0


def replace(outputs: Outputs, place: int, output: Display) -> None:
    """Show other data where a display is."""
    shown = outputs.items[place]
    assert isinstance(shown, Display)
    shown.data, shown.metadata = output.data, output.metadata
    if place < outputs.written:
        outputs.stale.add(place)


def settle(stream: Stream, limit: int = INLINE_BYTES) -> None:
    """Make a chunk of what was printed since the record was written last."""
    if not stream.pending:
        return
    stream.chunks.append(text_value("".join(stream.pending), limit))
    stream.pending.clear()


def merge(chunks: list[str | Large], get: Callable[[str], bytes], size: int) -> list[str | Large]:
    """Make pieces of this size of smaller ones. ``get`` returns a blob by its name."""
    merged: list[str | Large] = []
    run: list[bytes] = []

    def end_run() -> None:
        if run:
            merged.append(text_value(b"".join(run).decode(), INLINE_BYTES))
            run.clear()

    for chunk in chunks:
        if isinstance(chunk, Large) and chunk.size >= size:
            end_run()
            merged.append(chunk)
        elif isinstance(chunk, Large):
            run.append(get(chunk.sha256) if chunk.part is None else bytes(chunk.part))
        else:
            run.append(chunk.encode("utf-8", "replace"))
        if sum(map(len, run)) >= size:
            end_run()
    end_run()
    return merged


def bound(stream: Stream, limit: int = MAX_STREAM_BYTES) -> None:
    """Let go of the beginning of a stream that is too long."""
    size = sum(chunk.size if isinstance(chunk, Large) else len(chunk) for chunk in stream.chunks)
    while size > limit and len(stream.chunks) > 1:
        first = stream.chunks.pop(0)
        gone = first.size if isinstance(first, Large) else len(first)
        stream.dropped_bytes += gone
        size -= gone


def larges(output: Output) -> list[Large]:
    """The values of an output that are, or will be, blobs."""
    values: list[Any]
    match output:
        case Stream():
            values = list(output.chunks)
        case Display():
            values = [*output.data.values(), output.metadata]
        case Error():
            values = [output.evalue, output.traceback]
    return [value for value in values if isinstance(value, Large)]
