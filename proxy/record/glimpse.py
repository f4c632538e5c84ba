"""The latest cells of a session in short, as the record has them in memory: for who glances at it.

All is bounded, whatever a kernel shows: of what was printed there is the end, of code the
beginning, of pictures the name of their blob. Nothing of it is to be interpreted: HTML, SVG and the
like are only named, unless the kernel says the same in plain text.

It is made in two steps, since large values are on the disk: :func:`sketch` notes what is to be seen
without waiting, :func:`draw` reads what that refers to, in a worker thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

import msgspec

from proxy.errors import StoreError
from proxy.message import JSON_ERRORS
from proxy.record.state import Display, Error, Execution, Output, SessionRecord, Stream
from proxy.record.trees import time_text
from proxy.record.values import Json, Large, Value

MAX_OUTPUTS = 8
"""Of one cell: the last ones."""
TAIL_CHARACTERS = 2000
"""Of one output: its end."""
CODE_CHARACTERS = 400
MAX_BYTES = 1024 * 1024
"""A value of which all has to be read, to show some of it, and is larger, is not shown."""
MAX_RUN = 500
"""Pieces of stdout and stderr by turns, as a progress bar makes them, that are put together."""
UNSORTED = 20
"""Cells that may have come in another order than they ran in."""

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What a browser shows without running anything in it, best first."""
TEXTS = ("text/plain", "text/markdown", "text/latex")

Kind = Literal["stream", "text", "error", "picture", "other"]


class ShownOutput(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output of a cell."""

    kind: Kind
    """``other`` is what is only named."""
    text: str = ""
    """What it says; of a picture, what it is."""
    is_cut: bool = False
    """Whether there is more ahead of that."""
    name: str = ""
    """Of a stream: stdout or stderr."""
    media_type: str = ""
    blob: str = ""
    """Of a picture: the SHA-256 by which it is found."""
    bytes: int = 0


class ShownCell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cell that runs, or ran."""

    key: str
    """The same for as long as it is the same cell."""
    count: int | None
    code: str
    """Its beginning."""
    is_cut: bool = False
    """Whether there is more of the code."""
    state: str
    """executing or complete."""
    end: str | None = None
    """ok, error, interrupted, aborted or lost."""
    started: str | None = None
    """ISO 8601, UTC."""
    completed: str | None = None
    outputs: list[ShownOutput] = []
    """The last ones."""
    earlier: int = 0
    """How many outputs came before these."""


class Values(Protocol):
    """Where large values are. Both raise :class:`StoreError` where one is lost."""

    def fetch(self, large: Large, /) -> bytes:
        """Return all of it."""

    def tail(self, large: Large, count: int, /) -> bytes:
        """Return its last bytes."""


@dataclass(frozen=True, slots=True)
class _Text:
    """What an output says: its pieces, of which the end will do."""

    pieces: list[str | Large]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _OutputSketch:
    kind: Kind
    text: _Text | Large
    """A traceback may be one JSON in the blob store."""
    name: str = ""
    media_type: str = ""
    blob: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Sketch:
    """A cell as it is now, with the values that it refers to."""

    cell: ShownCell
    code: str | Large
    outputs: list[_OutputSketch]


# What there is to see, without waiting


def sketch(record: SessionRecord, cells: int) -> list[Sketch]:
    """Note what is to be seen of the cells that began last, in the order in which they did."""
    ran = (e for e in reversed(record.executions.values()) if _began(e))
    latest = sorted(islice(ran, cells + UNSORTED), key=lambda each: each.started or 0.0)
    return [_sketch(execution) for execution in latest[-cells:]]


def _began(execution: Execution) -> bool:
    return execution.started is not None and execution.end != "aborted"


def _sketch(execution: Execution) -> Sketch:
    outputs, before = _last_of(execution.outputs.items)
    cell = ShownCell(
        key=f"{execution.msg_id}/{execution.started}",
        count=execution.execution_count,
        code="",
        state=execution.state,
        end=execution.end,
        started=time_text(execution.started),
        completed=time_text(execution.completed),
        earlier=before + execution.dropped_outputs,
    )
    return Sketch(cell, execution.code, outputs)


def _last_of(items: list[Output]) -> tuple[list[_OutputSketch], int]:
    """Return what is to be seen of the last outputs, and how many there are before.

    Of stdout and stderr by turns each is seen once: a progress bar between lines that are printed.
    """
    found: list[_OutputSketch] = []
    end = len(items)
    while end and len(found) < MAX_OUTPUTS:
        run: list[Stream] = []
        while end and len(run) < MAX_RUN and isinstance(last := items[end - 1], Stream):
            run.append(last)
            end -= 1
        found += _streams(run[::-1])[::-1]
        if not run and not isinstance(last := items[end - 1], Stream):
            found.append(_output(last))
            end -= 1
    return found[::-1], end


def _streams(run: list[Stream]) -> list[_OutputSketch]:
    """Put each stream of a run together, in the order in which they began."""
    by_name: dict[str, list[Stream]] = {}
    for each in run:
        by_name.setdefault(each.name, []).append(each)
    return [_stream(name, same) for name, same in by_name.items()]


def _stream(name: str, same: list[Stream]) -> _OutputSketch:
    """Note the last pieces of a stream, as many as are looked at."""
    found: list[str | Large] = []
    characters = 0
    for each in reversed(same):
        pieces = [*each.chunks, *each.pending[-TAIL_CHARACTERS:]]
        while pieces and characters < TAIL_CHARACTERS:
            found.append(piece := pieces.pop())
            characters += piece.size if isinstance(piece, Large) else len(piece)
        if pieces or each.dropped_bytes:
            return _OutputSketch("stream", _Text(found[::-1], True), name=name)
    return _OutputSketch("stream", _Text(found[::-1]), name=name)


def _output(output: Error | Display) -> _OutputSketch:
    match output:
        case Error():
            lines = output.traceback
            if isinstance(lines, Large):
                return _OutputSketch("error", lines)
            said: list[str | Large] = [f"{output.ename}: ", output.evalue]
            return _OutputSketch("error", _Text(["\n".join(lines)] if lines else said))
        case Display():
            return _display(output.data)


def _display(data: dict[str, Value]) -> _OutputSketch:
    """Choose what is shown of a mime bundle."""
    text = next((data[each] for each in TEXTS if each in data), None)
    said = _Text([] if text is None else [text.text if isinstance(text, Json) else text])
    for media_type in PICTURES:
        value = data.get(media_type)
        if isinstance(value, Large) and value.encoding.startswith("base64") and value.sha256:
            return _OutputSketch("picture", said, "", media_type, value.sha256, value.size)
    if text is not None:
        return _OutputSketch("text", said)
    media_type, other = next(iter(data.items()), ("", ""))
    size = other.size if isinstance(other, Large) else len(_plain(other))
    return _OutputSketch("other", said, media_type=media_type[:CODE_CHARACTERS], size=size)


def _plain(value: str | Json) -> str:
    return value.text if isinstance(value, Json) else value


# What that says, read where it is


def is_on_disk(sketches: list[Sketch]) -> bool:
    """Whether something has to be read for them."""
    for each in sketches:
        texts = [output.text for output in each.outputs]
        pieces = [p for t in texts for p in (t.pieces if isinstance(t, _Text) else [t])]
        if any(isinstance(piece, Large) for piece in [each.code, *pieces]):
            return True
    return False


def draw(sketches: list[Sketch], values: Values) -> list[ShownCell]:
    """Read what the sketches refer to. What is lost is left out."""
    return [_drawn(each, values) for each in sketches]


def _drawn(sketched: Sketch, values: Values) -> ShownCell:
    code = sketched.code
    text = _whole(code, values).decode("utf-8", "replace") if isinstance(code, Large) else code
    return msgspec.structs.replace(
        sketched.cell,
        code=text[:CODE_CHARACTERS],
        is_cut=len(text) > CODE_CHARACTERS,
        outputs=[_drawn_output(output, values) for output in sketched.outputs],
    )


def _drawn_output(output: _OutputSketch, values: Values) -> ShownOutput:
    if isinstance(output.text, Large):
        text, is_cut = _lines_in(_whole(output.text, values)), False
    else:
        pieces = [
            each if isinstance(each, str) else _tail(each, values) for each in output.text.pieces
        ]
        text, is_cut = "".join(pieces), output.text.is_cut
        is_cut |= any(isinstance(p, Large) and p.size > TAIL_CHARACTERS for p in output.text.pieces)
    return ShownOutput(
        kind=output.kind,
        text=text[-TAIL_CHARACTERS:],
        is_cut=is_cut or len(text) > TAIL_CHARACTERS,
        name=output.name,
        media_type=output.media_type,
        blob=output.blob,
        bytes=output.size,
    )


def _tail(large: Large, values: Values) -> str:
    try:
        return values.tail(large, TAIL_CHARACTERS).decode("utf-8", "ignore")
    except StoreError:
        return ""


def _whole(large: Large, values: Values) -> bytes:
    try:
        return values.fetch(large) if large.size <= MAX_BYTES else b""
    except StoreError:
        return b""


def _lines_in(raw: bytes) -> str:
    try:
        return "\n".join(msgspec.json.decode(raw, type=list[str]))
    except JSON_ERRORS:
        return ""
