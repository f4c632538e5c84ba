"""Have a conversation on both sides and say what differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from conformance.differential import excuses
from conformance.differential.canonical import canonical
from conformance.differential.compare import Difference, compare
from conformance.differential.conversation import Conversation
from conformance.differential.sides import Pair
from conformance.differential.talk import Transcript

INTERNAL_ERROR = '"internal.error"'
"""What kmux logs where it has a bug."""
LAST_WORDS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one conversation."""

    differences: list[Difference]
    excused: Counter[str]
    spoiled: bool
    """Whether the sides are not in step any more: they need new kernels."""
    said: int
    heard: int
    """Messages to and from the first side."""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(kind for difference in self.differences for kind in difference.kinds)


def judge(pair: Pair, conversation: Conversation) -> Verdict:
    """Have it, and compare."""
    transcripts = pair.converse(conversation)
    one, other = (canonical(t, s.known) for t, s in zip(transcripts, pair.sides, strict=True))
    excused = excuses.amend(one, other)
    # Where one side came to an end alone, all that it did not say any more differs as well.
    found = _faults(pair, transcripts) or compare(one, other)
    left, more, spoiled = excuses.excuse(found, conversation)
    return Verdict(
        differences=left,
        excused=excused + more,
        spoiled=spoiled or bool(left) or conversation.spoils,
        said=len(transcripts[0].said),
        heard=len(transcripts[0].heard),
    )


def _faults(pair: Pair, transcripts: tuple[Transcript, Transcript]) -> list[Difference]:
    """Find what ended a conversation on one side."""
    found = []
    for side, transcript in zip(pair.sides, transcripts, strict=True):
        if errors := [line for line in side.new_log_lines() if INTERNAL_ERROR in line]:
            found.append(_fault(f"{side.way} logged an error of its own", errors))
        if side.ended:
            found.append(_fault(f"{side.way} ended", [side.ended]))
        elif transcript.unanswered:
            said = transcript.said[transcript.unanswered[0]]
            what = f"{side.way}: no answer to {said.say.channel} {said.say.msg_type}"
            last = [
                f"{heard.channel} {heard.msg_type} {heard.state or ''} "
                f"of {heard.parent.get('msg_id')} {heard.parent.get('msg_type')}"
                for heard in transcript.heard[-LAST_WORDS:]
            ]
            found.append(_fault(what, [f"{said.msg_id}: {said.say}", "heard last:", *last]))
    if all(transcript.unanswered for transcript in transcripts):
        return [fault for fault in found if "no answer" not in fault.where]
    return found


def _fault(what: str, lines: list[str]) -> Difference:
    return Difference(where=what, kinds=(what,), direct=[], proxied=lines)
