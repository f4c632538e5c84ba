"""Differences that are known, each with its reason: what is meant, and bugs that are still there.

An amendment takes what it is about out of both sides before they are compared; an excuse lets a
kind of difference pass in conversations in which something was said. Both are counted, and
pointed out when nothing needs them any more: an entry with ``bug`` goes with the bug. One with
``chance`` lets nothing pass at first: it counts when a conversation that differed was repeated.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conformance.differential.canonical import Canonical, Message, joined
from conformance.differential.compare import Difference
from conformance.differential.conversation import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """``amend`` changes both sides and returns how often it had to."""

    name: str
    reason: str
    amend: Callable[[Canonical, Canonical], int]
    bug: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """A kind of difference, in conversations in which something was said."""

    name: str
    reason: str
    kind: str
    """Regular expression for the whole of one of :attr:`Difference.kinds`."""
    said: str = ""
    """Regular expression to be found in the conversation, as it is printed."""
    heard: str = ""
    """Regular expression to be found in what differs, on either side."""
    chance: bool = False
    """Whether it excuses only what does not come again when the conversation is repeated."""
    spoils: bool = False
    """Whether the sides are not in step after it: nothing else that differs in the conversation
    counts, and the kernels are replaced."""
    bug: bool = False


def _iopub(side: Canonical) -> Iterator[tuple[int, list[Message]]]:
    for (place, channel), messages in side.sections.items():
        if channel == "iopub":
            yield place, messages


def _pairs(direct: Canonical, proxied: Canonical) -> Iterator[tuple[Message, Message]]:
    """Yield messages that have the same place on both sides."""
    for section, messages in proxied.sections.items():
        yield from zip(direct.sections.get(section, ()), messages, strict=False)


def _true_status(direct: Canonical, proxied: Canonical) -> int:
    """Take out "busy" where the request is busy already."""
    count = 0
    for _, messages in _iopub(proxied):
        kept, busy = [], False
        for message in messages:
            state = message["content"].get("execution_state")
            if state != "busy" or not busy:
                kept.append(message)
            busy = state == "busy" or (busy and state is None)
        if len(kept) < len(messages):
            count += len(messages) - len(kept)
            messages[:] = joined(kept)  # it may have stood between two pieces of a stream
    return count


ANSWERED_HERE = frozenset(
    {
        "kernel_info_request",
        "comm_info_request",
        "comm_open",
        "comm_msg",
        "comm_close",
        "create_subshell_request",
        "delete_subshell_request",
        "list_subshell_request",
    }
)


def _answered_at_once(direct: Canonical, proxied: Canonical) -> int:
    """Leave what kmux answers itself, aborted cells among it, out of the order of requests."""
    count = 0
    for way in {*direct.orders, *proxied.orders}:
        if direct.orders.get(way) != proxied.orders.get(way):
            count += 1
            for side in (direct, proxied):
                left = [p for p in side.orders.get(way, ()) if not _is_answered_here(side, p)]
                side.orders[way] = [p for i, p in enumerate(left) if [p] != left[i - 1 : i]]
    return count


def _is_answered_here(side: Canonical, place: int) -> bool:
    if side.requests[place].msg_type in ANSWERED_HERE:
        return True
    replies = side.sections.get((place, "shell"), ())
    return any(reply["content"] == {"status": "aborted"} for reply in replies)


AMENDMENTS = (
    Amendment(
        name="true status",
        reason="after whatever became idle while a cell runs, the cell's busy is told again",
        amend=_true_status,
    ),
    Amendment(
        name="answered at once",
        reason="what kmux answers from its record does not wait for the cells before it",
        amend=_answered_at_once,
    ),
)

EXCUSES = (
    Excuse(
        name="state asked for on a subshell",
        reason="ipykernel has the comm there from then on, and loses it with the subshell; "
        "kmux answers from its record",
        kind=r"\w+ (comm_msg|comm_close|execute_request) → \w+: .*",
        said=r"\[comm on an? (unknown )?subshell\] .*request_state",
        spoils=True,
    ),
    Excuse(
        name="subshell that a comm is left on",
        reason="kmux keeps a deleted subshell on which an open comm is, and gives it to who asks "
        "next, under the id that it has",
        kind=r"control create_subshell_request → \w+: create_subshell_reply\.content\.subshell_id",
        said=r"(?s)\[(widget|comm) on a subshell\].*\[delete subshell\].*\[create subshell\]",
        spoils=True,
    ),
    Excuse(
        name="widget that outlives its subshell",
        reason="ipykernel sends what a comm is told to the subshell that it was deleted with; kmux "
        "keeps the subshell, and the widget lives",
        kind=r"\w+ comm_(msg|close) → (iopub: \+(comm_msg|status\(\w+\))|shell: -comm_reply)",
        said=r"(?s)\[(widget|comm) on a subshell\].*\[delete subshell\]",
        spoils=True,
    ),
    Excuse(
        name="widget that a deleted subshell was named for",
        reason="ipykernel sends all that it is asked from then on to that subshell, also kmux's "
        "question what has become of an update that it refused",
        kind=r"shell comm_msg → iopub: comm_msg\.content\.data\.states\.\*\.state\.\w+",
        said=r"(?s)\[delete subshell\].*\[comm on a subshell\][^\n]*\"method\": \"update\"",
        spoils=True,
    ),
    Excuse(
        name="parent as it was sent",
        reason="ipykernel writes dates and versions of parent headers anew, kmux does not",
        kind=r"\w+ (kernel_info|comm_info)_request → \w+: \w+\.parent",
        said=r"\[odd header\]",
    ),
    Excuse(
        name="answer of the moment",
        reason="what kmux answers while a cell runs does not know what the cell is about to do",
        kind=r"shell (comm_info_request|comm_msg|comm_open) → \w+: .*",
        said=r"\[asked while a cell runs\]",
    ),
    Excuse(
        name="interrupt on shell",
        reason="ipykernel interrupts its own reply there; kmux replies",
        kind=r"shell interrupt_request → shell: \+interrupt_reply",
    ),
    Excuse(
        name="parts that are made late",
        reason="a widget that a frontend opened gets its layout and style when its state is asked "
        "for, by kmux where all states are; ipywidgets stumbles over that",
        kind=r"shell comm_msg → iopub: (-comm_open|\+comm_msg|-stream)"
        r"|no request → iopub: \+comm_open",
        said=r"request_states",
        heard=r"LayoutModel",
    ),
    Excuse(
        name="equal values",
        reason="to Python 1 is True: the widget keeps its value, and has repeated the other",
        kind=r"\w+ comm_msg → iopub: comm_msg\.content\.data\.(state|states\.\*\.state)\.value",
        said=r'"value": 1\}',
        heard=r'"value": true',
    ),
    Excuse(
        name="late for an error",
        reason="ipykernel throws away the cells that it has read when another fails; which these "
        "are is chance, and so is the count of all that come after, on whatever shell",
        kind=r"shell execute_request → (iopub: [-+](execute_input|stream|display_data|error"
        r"|execute_result)|shell: execute_reply\.(metadata\.status|content\.\w+( missing| added)?))"
        r"|\w+ execute_request → (iopub|shell): \w+\.content\.execution_count",
        chance=True,
    ),
    Excuse(
        name="first status",
        reason="what a kernel says before its first request may come before anybody listens",
        kind=r"no request → iopub: [-+]status\(\w+\)",
        chance=True,
    ),
    Excuse(
        name="interrupted print",
        reason="the interrupt may come while the cell's print waits for it to be flushed",
        kind=r"shell execute_request → (iopub: error|shell: execute_reply)"
        r"\.content\.(traceback|ename|evalue)",
        said=r" interrupt_request ",
        heard=r"threading\.py",
    ),
    Excuse(
        name="lost reply",
        reason="a cell that ipykernel cannot read, and drops, has an error after some seconds",
        kind=r"shell execute_request → (shell: \+execute_reply|iopub: \+status\(\w+\))",
        said=r"\[(malformed cell|cell without version)\]",
    ),
    Excuse(
        name="nonsense on a control comm",
        reason="kmux is the other end of jupyter.widget.control, and prints no tracebacks",
        kind=r"shell comm_msg → iopub: -stream",
        said=r"jupyter\.widget\.control",
        heard=r"Exception in comm_msg for talk\d+-control|No such comm: talk\d+-control",
    ),
    Excuse(
        name="control comm",
        reason="the kernel does not know of a jupyter.widget.control that kmux answers",
        kind=r"\w+ (execute_request → iopub: -comm_close"
        r"|comm_info_request → \w+: comm_info_reply\.content\.comms\.\* missing)",
        said=r"jupyter\.widget\.control",
        heard=r"talk\d+-(control|comm)\d",
    ),
    Excuse(
        name="comm that is opened twice",
        reason="ipykernel tells that the first one is closed when it is collected, and has another",
        kind=r"\w+ comm_info_request → \w+: comm_info_reply\.content\.comms\.\* missing",
        said=r"\[comm_open again\]",
    ),
    Excuse(
        name="widget that the client closed",
        reason="ipywidgets goes on to tell of it in update_states",
        kind=r"shell comm_msg → iopub: comm_msg\.(content\.data\.(states\.\* missing|buffer_paths)"
        r"|buffers)",
        said=r"\[client closes a widget\]",
    ),
)

ALWAYS = tuple(excuse for excuse in EXCUSES if not excuse.chance)
CHANCE = tuple(excuse for excuse in EXCUSES if excuse.chance)


def amend(direct: Canonical, proxied: Canonical) -> Counter[str]:
    """Apply all amendments. Returns which were needed, and how often."""
    return Counter({a.name: n for a in AMENDMENTS if (n := a.amend(direct, proxied))})


def excuse(
    differences: list[Difference], conversation: Conversation
) -> tuple[list[Difference], Counter[str], bool]:
    """Return what is left to differ, what was excused, and whether the sides are out of step."""
    used: Counter[str] = Counter()
    left, spoiled = [], False
    text = "\n".join(conversation.lines()) if differences else ""
    for difference in differences:
        kinds = []
        for kind in difference.kinds:
            found = _first(ALWAYS, kind, difference, text)
            if found is None:
                kinds.append(kind)
            else:
                used[found.name] += 1
                spoiled |= found.spoils
        if kinds:
            left.append(dataclasses.replace(difference, kinds=tuple(kinds)))
    return [] if spoiled else left, used, spoiled


def by_chance(differences: list[Difference], conversation: Conversation) -> frozenset[str]:
    """Return which excuses cover all that differs, if it does not come again; none if not all."""
    text = "\n".join(conversation.lines())
    found = [_first(CHANCE, kind, d, text) for d in differences for kind in d.kinds]
    names = frozenset(excuse.name for excuse in found if excuse is not None)
    return names if None not in found else frozenset()


def _first(
    excuses: tuple[Excuse, ...], kind: str, difference: Difference, text: str
) -> Excuse | None:
    return next((e for e in excuses if _fits(e, kind, difference, text)), None)


def _fits(excuse: Excuse, kind: str, difference: Difference, text: str) -> bool:
    return bool(
        re.fullmatch(excuse.kind, kind)
        and re.search(excuse.said, text)
        and re.search(excuse.heard, "\n".join((*difference.direct, *difference.proxied)))
    )
