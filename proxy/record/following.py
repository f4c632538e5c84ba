"""What a cell has shown since it was last looked at, for who prints it as it comes.

A record is read again and again, and each time it is another object, with other pieces: a stream is
known again by its beginning and its length in bytes, whatever pieces it is in. One that is shorter
now, or begins otherwise, was cleared. A display that has other data now was updated, and is shown
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.message import ClientId, MsgId
from proxy.record.document import Tree
from proxy.record.notebook import Fetch
from proxy.record.state import Display, Error, Execution, Output, Stream
from proxy.record.trees import output_tree
from proxy.record.values import Large

HEAD_BYTES = 4096
"""By so much of its beginning a stream is known again."""

Key = tuple[ClientId | None, MsgId, float | None]


@dataclass(frozen=True, slots=True)
class Text:
    """More of a stream."""

    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was shown is gone, and what comes takes its place."""


News = Text | Display | Error | Cleared


@dataclass(frozen=True, slots=True)
class _Printed:
    """How much of a stream is known."""

    name: str
    end: int
    first: str
    """The blob that it begins with, if it begins with one."""
    head: bytes


_Mark = _Printed | dict[str, Tree]


def key_of(execution: Execution) -> Key:
    """Return by what an execution is known again."""
    return (execution.client, execution.msg_id, execution.queued or execution.started)


class Follower:
    """Remembers what of each cell was told."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._marks: dict[Key, list[_Mark]] = {}

    def news(self, execution: Execution) -> list[News]:
        """Return what is new of a cell, in order."""
        marks = self._marks.setdefault(key_of(execution), [])
        items = execution.outputs.items
        news: list[News] = []
        same = zip(marks, items, strict=False)
        if len(items) < len(marks) or not all(self._goes_on(mark, item) for mark, item in same):
            marks.clear()
            news.append(Cleared())
        for place, output in enumerate(items):
            before = marks[place] if place < len(marks) else None
            mark = self._mark(output, before)
            if place < len(marks):
                marks[place] = mark
            else:
                marks.append(mark)
            news += self._told(output, mark, before)
        return news

    def _goes_on(self, mark: _Mark, output: Output) -> bool:
        """Whether an output is what it was, with more in it or other data."""
        if isinstance(mark, dict):
            return not isinstance(output, Stream) and mark["output_type"] == _type_of(output)
        if not isinstance(output, Stream) or output.name != mark.name or _end(output) < mark.end:
            return False
        if output.dropped_bytes:
            return True
        return _first(output) == mark.first != "" or self._head(output).startswith(mark.head)

    def _mark(self, output: Output, before: _Mark | None) -> _Mark:
        if not isinstance(output, Stream):
            return output_tree(output)
        first = _first(output)
        if isinstance(before, _Printed) and before.first == first != "":
            head = before.head
        else:
            head = self._head(output)
        return _Printed(output.name, _end(output), first, head)

    def _told(self, output: Output, mark: _Mark, before: _Mark | None) -> list[News]:
        if isinstance(output, Stream):
            start = before.end if isinstance(before, _Printed) else 0
            text = self._bytes(output, start, _end(output)).decode("utf-8", "replace")
            return [Text(text)] if text else []
        return [output] if mark != before else []

    def _head(self, stream: Stream) -> bytes:
        return self._bytes(stream, stream.dropped_bytes, stream.dropped_bytes + HEAD_BYTES)

    def _bytes(self, stream: Stream, start: int, end: int) -> bytes:
        """Return a part of a stream; what was let go of is left out."""
        found: list[bytes] = []
        place = stream.dropped_bytes
        for chunk in stream.chunks:
            size = _size(chunk)
            if place < end and place + size > start:
                raw = self._fetch(chunk) if isinstance(chunk, Large) else _encoded(chunk)
                found.append(raw[max(0, start - place) : end - place])
            place += size
        return b"".join(found)


def _type_of(output: Output) -> str:
    return output.output_type if isinstance(output, Display) else "error"


def _first(stream: Stream) -> str:
    chunk = stream.chunks[0] if stream.chunks else ""
    return chunk.sha256 if isinstance(chunk, Large) else ""


def _end(stream: Stream) -> int:
    return stream.dropped_bytes + sum(_size(chunk) for chunk in stream.chunks)


def _size(chunk: str | Large) -> int:
    return chunk.size if isinstance(chunk, Large) else len(_encoded(chunk))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
