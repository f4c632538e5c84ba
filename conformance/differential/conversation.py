"""A conversation of one client with a kernel, as data: it can be printed, repeated and shortened.

What is not known before it takes place stands as a mark in contents and headers: ``@a.comm-1@``
is the last comm that the kernel opened while it was busy with the message labelled ``a``,
``@a.comm0@`` the first; ``@a.subshell@`` is the subshell that it made for it, ``@a.msg_id@`` is
that message's own id, and ``@talk@`` is a text that no other conversation has. What is not there
(a shortened conversation may have lost message ``a``) becomes a made-up id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Channel = Literal["shell", "control", "stdin"]
Answer = Literal["reply", "idle", "nothing"]

LONGEST_SHOWN = 2000
DROP = "<drop>"
"""The value of a header's key that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A message of the client."""

    msg_type: str
    content: Any
    """What the content's JSON is to be; bytes are sent as they are."""
    channel: Channel = "shell"
    label: str = ""
    subshell: str | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    """Where the header differs from a usual one; ``DROP`` leaves a key out."""
    metadata: Any = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()
    answer: Answer = "reply"
    """What to wait for before the next step: reply and idle, idle alone, or until a later message
    on the same way was answered, since this one may not be."""

    def __str__(self) -> str:
        content = self.content if isinstance(self.content, bytes) else json.dumps(self.content)
        parts = [f"{self.channel} {self.msg_type} {content}"]
        parts += [f"label {self.label}"] if self.label else []
        parts += [f"subshell {self.subshell}"] if self.subshell is not None else []
        parts += [f"header {json.dumps(dict(self.header))}"] if self.header else []
        parts += [f"metadata {json.dumps(self.metadata)}"] if self.metadata else []
        parts += [f"buffers {[len(b) for b in self.buffers]}"] if self.buffers else []
        shown = "  ".join(parts)
        if len(shown) > LONGEST_SHOWN:
            shown = f"{shown[:LONGEST_SHOWN]}… ({len(shown)} characters)"
        return shown


@dataclass(frozen=True, slots=True)
class Hear:
    """Wait until the kernel has sent this, so often, for the first message of this step.

    Or until it is done with that message.
    """

    msg_type: str
    times: int = 1

    def __str__(self) -> str:
        return f"(wait for {self.msg_type}{f' {self.times}' if self.times > 1 else ''})"


Act = Say | Hear


@dataclass(frozen=True, slots=True)
class Step:
    """What is done in one go: it ends when all of its messages are done with."""

    name: str
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """``number`` is its place in the run that it belongs to."""

    number: int
    steps: tuple[Step, ...]
    spoils: bool = False
    """Whether it leaves traces that cannot be cleaned up: the next one needs new kernels."""

    def lines(self) -> list[str]:
        """Return it for people, one line for each act."""
        lines = []
        for number, step in enumerate(self.steps, 1):
            lines += [f"{number:2}. [{step.name}] {step.acts[0]}" if step.acts else f"{number:2}."]
            lines += [f"    {act}" for act in step.acts[1:]]
        return lines
