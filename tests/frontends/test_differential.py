"""Random conversations with a real ipykernel, directly and through kmux (``make differential``).

Here the first ones, and whether the comparison sees what it should.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.differential.canonical import canonical
from conformance.differential.compare import Difference, compare
from conformance.differential.conversation import Conversation, Say, Step
from conformance.differential.excuses import excuse
from conformance.differential.investigate import Finding, Outcome
from conformance.differential.judge import Verdict
from conformance.differential.messages import Heard
from conformance.differential.report import Run
from conformance.differential.talk import Said, Transcript
from conformance.differential.writer import write

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("conversations", [50, pytest.param(150, marks=pytest.mark.thorough)])
def test_the_first_conversations_are_the_same_through_kmux(conversations: int) -> None:
    command = [sys.executable, "-m", "conformance.differential"]
    run = subprocess.run(
        [*command, "--conversations", str(conversations)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=840,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
    assert f"{conversations} conversations" in run.stdout


def test_a_conversation_is_the_same_whenever_it_is_written() -> None:
    assert write(5, 17) == write(5, 17)
    assert len({str(write(seed, number)) for seed in (5, 6) for number in range(50)}) == 100


CELL = {"msg_id": "talk1-0", "msg_type": "execute_request", "session": "s", "date": "today"}
OTHER = {**CELL, "msg_id": "talk1-1"}


def heard(channel: str, msg_type: str, number: int, content: Any, parent: Any = CELL) -> Heard:
    """A message of a kernel whose ids begin with a text of the side's own."""
    return Heard(
        channel=channel,
        topic="",
        header={"msg_id": f"{number}", "msg_type": msg_type, "session": "kernel"},
        parent=parent,
        metadata={},
        content=content,
        buffers=(b"\x00",),
        signed_rightly=True,
    )


def transcript(comm_id: str = "a" * 32) -> Transcript:
    """A cell that prints and opens a comm, and another one behind it."""
    say = Say(msg_type="execute_request", content={"code": "1"})
    return Transcript(
        said=[Said(say=say, header=CELL), Said(say=say, header=OTHER)],
        heard=[
            heard("iopub", "status", 1, {"execution_state": "busy"}),
            heard("iopub", "stream", 2, {"name": "stdout", "text": "one "}),
            heard("iopub", "stream", 3, {"name": "stdout", "text": "two"}),
            heard("iopub", "comm_open", 4, {"comm_id": comm_id}),
            heard("iopub", "comm_msg", 5, {"comm_id": comm_id}),
            heard("shell", "execute_reply", 6, {"status": "ok"}),
            heard("iopub", "status", 7, {"execution_state": "idle"}),
            heard("iopub", "status", 8, {"execution_state": "busy"}, OTHER),
            heard("shell", "execute_reply", 9, {"status": "ok"}, OTHER),
            heard("iopub", "status", 10, {"execution_state": "idle"}, OTHER),
        ],
    )


def kinds(changed: Transcript) -> list[str]:
    """What the comparison says of a changed transcript and the unchanged one."""
    differences = compare(canonical(transcript(), {}), canonical(changed, {}))
    return [kind for difference in differences for kind in difference.kinds]


def test_ids_and_the_cuts_of_a_stream_make_no_difference() -> None:
    other = transcript(comm_id="b" * 32)
    joined = dataclasses.replace(other.heard[1], content={"name": "stdout", "text": "one two"})
    other.heard[1:3] = [joined]
    for number, message in enumerate(other.heard):
        message.header["msg_id"] = f"other-{number}"
    assert kinds(other) == []


def change(place: int, **fields: Any) -> Callable[[Transcript], None]:
    def apply(given: Transcript) -> None:
        given.heard[place] = dataclasses.replace(given.heard[place], **fields)

    return apply


def move(place: int, to: int) -> Callable[[Transcript], None]:
    return lambda given: given.heard.insert(to, given.heard.pop(place))


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (lambda given: given.heard.pop(5), "shell execute_request → shell: -execute_reply"),
        (lambda given: given.heard.pop(6), "shell execute_request → iopub: -status(idle)"),
        (move(3, 1), "shell execute_request → iopub: +comm_open"),
        (move(7, 0), "order, shell on iopub: execute_request"),
        (change(4, content={"comm_id": "c" * 32}), "iopub: comm_msg.content.comm_id"),
        (change(5, content={"status": "ok", "more": 1}), "execute_reply.content.more added"),
        (change(5, content={"status": True}), "execute_reply.content.status"),
        (change(5, metadata={"key": 1}), "execute_reply.metadata.key added"),
        (change(5, buffers=(b"\x01",)), "execute_reply.buffers"),
        (change(5, parent={**CELL, "date": "now"}), "execute_reply.parent"),
        (change(5, parent={}), "no request → shell: +execute_reply"),
        (change(5, signed_rightly=False), "execute_reply.signature added"),
        (change(5, channel="control"), "shell execute_request → control: +execute_reply"),
        (
            change(5, header={"msg_id": "1", "msg_type": "execute_reply", "session": "kernel"}),
            "execute_reply.msg_id",
        ),
        (lambda given: given.unanswered.append(0), "+(nothing; the conversation ended here)"),
    ],
)
def test_the_comparison_sees(tamper: Callable[[Transcript], object], kind: str) -> None:
    other = transcript()
    tamper(other)
    assert any(kind in found for found in kinds(other)), kinds(other)


DROPPED = "shell execute_request → iopub: -execute_input"
"""Is chance: which cells were there when one failed."""
LATE = "late for an error"
TALK = Conversation(1, (Step("cell", (Say(msg_type="execute_request", content={}),)),))


def finding(outcome: Outcome, *kinds: str) -> Finding:
    """A conversation that differed in this."""
    difference = Difference(where="message 0", kinds=kinds, direct=["{}"], proxied=[])
    verdict = Verdict(differences=[difference], excused=Counter(), spoiled=True, said=1, heard=1)
    return Finding(outcome=outcome, conversation=TALK, verdict=verdict)


def test_what_came_once_is_excused_by_chance() -> None:
    run = Run()
    assert not run.add(finding("came once", DROPPED, "shell execute_request → iopub: -stream"))
    assert run.equal
    assert run.findings == []
    assert run.by_chance == {LATE: 1}


@pytest.mark.parametrize(
    "found",
    [
        finding("differs", DROPPED),
        finding("came once", DROPPED, "shell execute_request → iopub: -status(idle)"),
        finding("came once", "kmux ended"),
    ],
)
def test_chance_excuses_nothing_else(found: Finding) -> None:
    run = Run()
    assert run.add(found)
    assert not run.equal
    assert not run.by_chance


def test_a_conversation_that_differs_by_chance_is_looked_at() -> None:
    differences = finding("came once", DROPPED).verdict.differences
    assert excuse(differences, TALK) == (differences, Counter(), False)


def test_what_flips_directly_hides_nothing() -> None:
    run = Run()
    assert run.add(finding("flips directly", DROPPED))
    assert run.equal
    assert not run.known
    assert run.add(finding("differs", DROPPED))
    assert run.known == {DROPPED}
