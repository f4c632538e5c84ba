"""One side of a conversation: say what is to be said, wait for what it brings, note it all down."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.differential.client import Client
from conformance.differential.conversation import DROP, Conversation, Hear, Say, Step
from conformance.differential.messages import Heard

ANSWER_SECONDS = 20.0
"""A kernel that answers at all does so in milliseconds; kmux gives up lost replies after 6 s."""

_MARK = re.compile(r"@(?:(talk)|(\w+)\.(?:(msg_id|subshell)|comm(-?\d+)))@")

FENCE = "is_complete_request"
"""Answered by the kernel on all ways, and by nobody in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message as it was sent."""

    say: Say
    header: dict[str, Any]
    fence: bool = False

    @property
    def msg_id(self) -> str:
        return str(self.header.get("msg_id"))

    @property
    def way(self) -> str:
        """What the kernel takes up one after the other has one way."""
        if self.say.channel != "shell":
            return self.say.channel
        return "shell" if self.say.subshell is None else f"subshell:{self.say.subshell}"


@dataclass(slots=True)
class Transcript:
    """What was said and heard, in order."""

    said: list[Said] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)
    """Places in ``said`` of what was waited for in vain. The conversation ended there."""


class _InVainError(Exception):
    """Something did not come in time."""


def converse(client: Client, conversation: Conversation, talk: str) -> Transcript:
    """Have a conversation; ``talk`` begins the ids of its messages."""
    side = _Side(client, talk)
    try:
        for step in conversation.steps:
            side.take(step)
    except _InVainError:
        pass
    return side.transcript


class _Side:
    def __init__(self, client: Client, talk: str) -> None:
        self.transcript = Transcript()
        self._client = client
        self._talk = talk
        self._labels: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        """By msg_id of the parent: how often each type came, "reply" and "idle" among them."""
        self._asked: Counter[tuple[str, str]] = Counter()
        self._comms: dict[str, list[str]] = {}
        self._subshells: dict[str, str] = {}

    def take(self, step: Step) -> None:
        """Take one step, and wait for its end."""
        said: list[Said] = []
        for act in step.acts:
            if isinstance(act, Say):
                said.append(self._say(act))
            elif said:
                self._hear(act, said[0])
        for message in said:
            if message.say.answer != "nothing":
                self._await(message, lambda message=message: self._is_done(message))
        unsure = {m.way: m.say for m in said if m.say.answer == "nothing"}
        for say in unsure.values():
            channel = "control" if say.channel == "control" else "shell"
            fence = Say(
                msg_type=FENCE, content={"code": "1"}, channel=channel, subshell=say.subshell
            )
            sent = self._say(fence, fence=True)
            self._await(sent, lambda sent=sent: self._is_done(sent))

    def _say(self, say: Say, *, fence: bool = False) -> Said:
        header = self._client.header(say.msg_type, f"{self._talk}-{len(self.transcript.said)}")
        if say.subshell is not None:
            header["subshell_id"] = say.subshell
        header |= say.header
        header = {key: value for key, value in header.items() if value != DROP}
        header = self._filled_in(header)
        said = Said(say=say, header=header, fence=fence)
        self.transcript.said.append(said)
        self._asked[said.msg_id, say.answer] += 1
        if say.label:
            self._labels[say.label] = said.msg_id
        content = say.content if isinstance(say.content, bytes) else self._filled_in(say.content)
        self._client.send(say.channel, header, content, say.metadata, say.buffers)
        return said

    def _hear(self, act: Hear, said: Said) -> None:
        counts, key, end = self._counts, (said.msg_id, act.msg_type), (said.msg_id, "idle")
        self._await(said, lambda: counts[key] >= act.times or counts[end] > 0)

    def _is_done(self, said: Said) -> bool:
        msg_id, counts, asked = said.msg_id, self._counts, self._asked
        replies = asked[msg_id, "reply"]
        idles = replies + asked[msg_id, "idle"]
        return counts[msg_id, "reply"] >= replies and counts[msg_id, "idle"] >= idles

    def _await(self, said: Said, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                index = next(i for i, s in enumerate(self.transcript.said) if s is said)
                self.transcript.unanswered.append(index)
                raise _InVainError
            for message in self._client.receive(left):
                self._note(message)

    def _note(self, message: Heard) -> None:
        self.transcript.heard.append(message)
        parent = str(message.parent.get("msg_id"))
        self._counts[parent, message.msg_type] += 1
        if message.state == "idle":
            self._counts[parent, "idle"] += 1
        if message.channel in ("shell", "control") and message.msg_type.endswith("_reply"):
            self._counts[parent, "reply"] += 1
            if isinstance(message.content, dict) and "subshell_id" in message.content:
                self._subshells[parent] = str(message.content["subshell_id"])
        if message.msg_type == "comm_open":
            self._comms.setdefault(parent, []).append(str(message.content["comm_id"]))

    def _filled_in(self, value: Any) -> Any:
        text = json.dumps(value)
        return json.loads(_MARK.sub(self._meaning, text)) if "@" in text else value

    def _meaning(self, mark: re.Match[str]) -> str:
        talk, label, what, index = mark.groups()
        if talk:
            return self._talk
        msg_id = self._labels.get(label, f"missing-{label}")
        if what == "msg_id":
            return msg_id
        if what == "subshell":
            return self._subshells.get(msg_id, f"missing-subshell-{label}")
        try:
            return self._comms[msg_id][int(index)]
        except (KeyError, IndexError):
            return f"missing-comm-{label}-{index}"
