"""What differs between the two sides of a conversation."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance.differential.canonical import Canonical, Message, Request

LONGEST_LINE = 1500
NO_REQUEST = Request("no", "request", "")
_ID = re.compile(r"<\w+ \d+>|talk\d+-\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One section that is not the same on both sides."""

    where: str
    """The request and the channel, for people."""
    kinds: tuple[str, ...]
    """What it is about, aspect by aspect; the same for the same cause, mostly."""
    direct: list[str]
    proxied: list[str]

    def lines(self) -> Iterator[str]:
        """Show what differs and what stands around it."""
        yield self.where
        yield from (f"  {kind}" for kind in self.kinds)
        for line in difflib.ndiff(self.direct, self.proxied):
            if not line.startswith("?"):
                yield f"    {line[:LONGEST_LINE]}"


def compare(direct: Canonical, proxied: Canonical) -> list[Difference]:
    """Return all sections that differ, in the order of what was said."""
    found = []
    sections = {*direct.sections, *proxied.sections}
    for section in sorted(sections, key=lambda key: (key[0] == -1, key)):
        one, other = direct.lines(section), proxied.lines(section)
        if one != other:
            place, channel = section
            requests = max(direct.requests, proxied.requests, key=len)
            request = requests[place] if place >= 0 else NO_REQUEST
            changes = _changes(direct.sections.get(section, []), proxied.sections.get(section, []))
            found.append(
                Difference(
                    where=f"message {place}: {request} → {channel}",
                    kinds=tuple(dict.fromkeys(_kind(request, channel, c) for c in changes)),
                    direct=one,
                    proxied=other,
                )
            )
    if not found:
        found += _disorder(direct, proxied)
    return found


def _kind(request: Request, channel: str, change: str) -> str:
    way = request.way.partition(":")[0]
    return f"{way} {request.msg_type} → {channel}: {_ID.sub('*', change)}"


def _disorder(direct: Canonical, proxied: Canonical) -> Iterator[Difference]:
    """Find requests that were taken up in another order, where all else is equal."""
    for way in sorted({*direct.orders, *proxied.orders}):
        one, other = direct.orders.get(way, []), proxied.orders.get(way, [])
        if one != other:
            requests = max(direct.requests, proxied.requests, key=len)
            moved = sorted({requests[place].msg_type for place in {*one, *other}})
            yield Difference(
                where=f"order of requests, {way}",
                kinds=(f"order, {way}: {', '.join(moved)}",),
                direct=[f"{place} {requests[place]}" for place in one],
                proxied=[f"{place} {requests[place]}" for place in other],
            )


def _changes(direct: list[Message], proxied: list[Message]) -> Iterator[str]:
    """Say in a few words what differs: types that are missing or too many, or keys."""
    one = [m["msg_type"] + _state(m) for m in direct]
    other = [m["msg_type"] + _state(m) for m in proxied]
    if one == other:
        for before, after in zip(direct, proxied, strict=True):
            for path in _paths(before, after):
                yield f"{before['msg_type']}.{path}"
        return
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, other, False).get_opcodes():
        if tag != "equal":
            yield from (f"-{name}" for name in one[a:b])
            yield from (f"+{name}" for name in other[c:d])


def _state(message: Message) -> str:
    content = message.get("content")
    state = content.get("execution_state") if isinstance(content, dict) else None
    return f"({state})" if state else ""


def _paths(one: Any, other: Any, path: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            below = f"{path}.{key}" if path else key
            if key in one and key in other:
                yield from _paths(one[key], other[key], below)
            else:
                yield f"{below}{' missing' if key in one else ' added'}"
    elif json.dumps(one) != json.dumps(other):
        yield path
