"""A transcript as it would be whatever the ids, times and paths of a side are.

Ids become names in the order in which they are first seen, message by message in the order in
which they were said, so that what is the same id on one side must be the same id on the other.
Times become their form. Neighbouring pieces of one stream are one: a kernel cuts its output by
the clock. Left out is what ipykernel says by chance: "No such comm" without a parent (a message
overtook the comm_open before it, in another thread), what debugpy tells of itself, and what is
printed when garbage is collected. What belongs to one request keeps its order; between requests
the order is that of taking up, for all that the kernel takes up one after the other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from conformance.differential.messages import Heard
from conformance.differential.talk import Said, Transcript

_HEX = r"(?<![0-9a-f]){}(?![0-9a-f])"
_VOLATILE = re.compile(
    rf"(?P<message>{_HEX.format('[0-9a-f]{8}-[0-9a-f]{24}_[0-9]+_[0-9]+')})"
    r"|(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rf"|(?P<session>{_HEX.format('[0-9a-f]{8}-[0-9a-f]{24}')})"
    rf"|(?P<id>{_HEX.format('[0-9a-f]{32}')})"
    rf"|(?P<display>{_HEX.format('[0-9a-f]{16}')})"
    r"|(?P<address>\b0x[0-9a-f]{6,16}\b)"
    r"|(?P<process>\bipykernel_\d+\b)"
)
_DATE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(Z|[+-]\d\d:\d\d)$")
LONG_TEXT = 5000
LONGEST_CONTENT = 200

Message = dict[str, Any]
"""A canonical message: JSON, to be compared and shown."""


CHANCE = (
    "pydevd: ",
    "Task was destroyed but it is pending!",
    "task: <Task pending ",
    "was never awaited",
    "self._ready.clear()",
    "Enable tracemalloc",
)
"""Words of lines on stderr that come when they come."""
NOTHING: Message = {
    "msg_type": "(nothing; the conversation ended here)",
    "content": {},
    "metadata": {},
    "topic": "",
}
"""Stands for what was waited for in vain."""


@dataclass(frozen=True, slots=True)
class Request:
    """A message that was said, for people."""

    way: str
    msg_type: str
    content: str

    def __str__(self) -> str:
        return f"{self.way} {self.msg_type} {self.content}"


@dataclass(slots=True)
class Canonical:
    """What was heard, in sections that are compared one by one."""

    requests: list[Request]
    sections: dict[tuple[int, str], list[Message]] = field(default_factory=dict)
    """By place of the parent in what was said (-1: none of it) and channel."""
    orders: dict[str, list[int]] = field(default_factory=dict)
    """Parents in the order in which they were heard, by way and channel."""

    def lines(self, section: tuple[int, str]) -> list[str]:
        """Return the messages of a section as text."""
        return [json.dumps(m, sort_keys=True) for m in self.sections.get(section, ())]


def canonical(transcript: Transcript, known: dict[str | int, str]) -> Canonical:
    """Make a transcript comparable.

    ``known`` are what is this side's own (a path in any text, a port as a value of a
    connect_reply), and what it is called.
    """
    names = _Names(_idents(transcript) | known)
    said = transcript.said
    result = Canonical(requests=[_request(message) for message in said])
    places: dict[str, list[int]] = {}
    for place, message in enumerate(said):
        places.setdefault(message.msg_id, []).append(place)
    grouped: dict[tuple[int, str], list[Heard]] = {}
    for heard in filter(_is_no_chance, transcript.heard):
        candidates = places.get(str(heard.parent.get("msg_id")), [-1])
        place = next((p for p in candidates if said[p].header == heard.parent), candidates[0])
        grouped.setdefault((place, heard.channel), []).append(heard)
    for key in sorted(grouped, key=lambda key: (key[0] == -1, key)):
        parent = said[key[0]] if key[0] >= 0 else None
        result.sections[key] = list(joined(names.message(h, parent) for h in grouped[key]))
    for place in transcript.unanswered:
        section = result.sections.setdefault((place, "shell"), [])
        section.append(NOTHING)
    result.orders = _orders(transcript, places)
    return result


def _idents(transcript: Transcript) -> dict[str | int, str]:
    """Find the kernel's own id, which is also in metadata: it is no news where it is first seen."""
    found = (re.match(r"kernel\.([0-9a-f-]{36})\.", heard.topic) for heard in transcript.heard)
    return {match[1]: "<ident>" for match in found if match}


def _is_no_chance(heard: Heard) -> bool:
    if heard.msg_type == "debug_event":
        return heard.content.get("event") not in ("debugpySockets", "output")
    if heard.msg_type != "stream" or heard.content.get("name") != "stderr":
        return True
    lines = heard.content["text"].splitlines()
    chance = CHANCE if heard.parent else (*CHANCE, "No such comm: ")
    return not all(any(words in line for words in chance) for line in lines)


def _request(said: Said) -> Request:
    content = said.say.content
    text = repr(content) if isinstance(content, bytes) else json.dumps(content)
    return Request(said.way, said.say.msg_type, text[:LONGEST_CONTENT])


def _orders(transcript: Transcript, places: dict[str, list[int]]) -> dict[str, list[int]]:
    orders: dict[str, list[int]] = {}
    for heard in transcript.heard:
        parents = places.get(str(heard.parent.get("msg_id")))
        if not parents:
            continue
        order = orders.setdefault(f"{transcript.said[parents[0]].way} on {heard.channel}", [])
        if order[-1:] != parents[:1]:
            order.append(parents[0])
    return orders


def joined(messages: Iterable[Message]) -> Iterator[Message]:
    """Join neighbouring pieces of one stream."""
    last: Message | None = None
    for message in messages:
        if (
            last is not None
            and message["msg_type"] == last["msg_type"] == "stream"
            and message["content"].get("name") == last["content"].get("name")
            and message["parent"] == last["parent"]
        ):
            text = last["content"]["text"] + message["content"]["text"]
            last = {**last, "content": {**last["content"], "text": text}}
            continue
        if last is not None:
            yield _shortened(last)
        last = message
    if last is not None:
        yield _shortened(last)


def _shortened(message: Message) -> Message:
    """Put hashes for long texts: they are compared just as well, and can be shown."""
    return _walk(message, lambda text: text if len(text) <= LONG_TEXT else _digest(text.encode()))


def _digest(data: bytes) -> str:
    return f"<{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}>"


def _walk(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _walk(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    return value


class _Names:
    """Gives ids their names."""

    def __init__(self, known: dict[str | int, str]) -> None:
        self._names: dict[str, str] = {k: v for k, v in known.items() if isinstance(k, str)}
        self._known = re.compile("|".join(map(re.escape, self._names)) or r"(?!)")
        self._ports = {k: v for k, v in known.items() if isinstance(k, int)}
        self._counts: dict[str, int] = {}
        self._seen: set[str] = set()

    def message(self, heard: Heard, parent: Said | None) -> Message:
        """Make one message canonical."""
        header = dict(heard.header)
        content = heard.content
        if heard.msg_type == "usage_reply":
            content = _kinds(content)
        elif heard.msg_type == "connect_reply":
            content = {
                k: self._ports.get(v, v) if isinstance(v, int) else v for k, v in content.items()
            }
        elif heard.msg_type in ("debug_reply", "debug_event"):
            content = {**content, "seq": "<counted>"}
        return {
            "msg_type": header.pop("msg_type", None),
            "msg_id": self._own_id(header.pop("msg_id", None)),
            "date": _date_form(header.pop("date", None)),
            "header": self._anything(header),
            "parent": self._parent(heard.parent, parent),
            "metadata": self._anything(_dated(heard.metadata)),
            "content": self._anything(content),
            "topic": self._text(heard.topic),
            "buffers": [_digest(buffer) for buffer in heard.buffers],
            **({} if heard.signed_rightly else {"signature": "wrong"}),
        }

    def _own_id(self, msg_id: Any) -> str:
        if not isinstance(msg_id, str) or not msg_id:
            return f"<no id: {msg_id!r}>"
        if msg_id in self._seen:
            return "<an id that another message had>"
        self._seen.add(msg_id)
        return "<new>"

    def _parent(self, header: dict[str, Any], parent: Said | None) -> Any:
        if parent is None:
            return self._anything(_dated(header))
        if header == parent.header:
            return "the request's header"
        changed = {
            key: header.get(key, "<missing>")
            for key in {*header, *parent.header}
            if header.get(key, "<missing>") != parent.header.get(key, "<missing>")
        }
        if "date" not in parent.header:
            changed = _dated(changed)  # the time at which the kernel read it
        return {"the request's header, but": self._anything(changed)}

    def _anything(self, value: Any) -> Any:
        return _walk(value, self._text)

    def _text(self, text: str) -> str:
        if len(text) > 100_000:
            return text
        return _VOLATILE.sub(self._name, self._known.sub(lambda m: self._names[m[0]], text))

    def _name(self, match: re.Match[str]) -> str:
        name = self._names.get(match[0])
        if name is None:
            kind = str(match.lastgroup)
            self._counts[kind] = self._counts.get(kind, 0) + 1
            name = self._names[match[0]] = f"<{kind} {self._counts[kind]}>"
        return name


def _date_form(date: Any) -> Any:
    """Put zeros for digits, also for microseconds that are none and left out."""
    match = _DATE.match(date) if isinstance(date, str) else None
    return f"0000-00-00T00:00:00.000000{match[2]}" if match else date


def _dated(metadata: Any) -> Any:
    """Put the form for each date of a message's metadata."""
    if not isinstance(metadata, dict):
        return metadata
    return {key: _date_form(value) for key, value in metadata.items()}


def _kinds(content: dict[str, Any]) -> dict[str, Any]:
    """Put the type for each measured value. One is left out where it is zero."""
    return {
        key: _kinds(value) if isinstance(value, dict) else type(value).__name__
        for key, value in content.items()
        if key != "host_cpu_percent"
    }
