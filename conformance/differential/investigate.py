"""Whether a difference is kmux's doing, and the shortest conversation that has it."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Literal

from conformance.differential import excuses
from conformance.differential.conversation import Conversation, Hear, Say, Step
from conformance.differential.judge import Verdict, judge
from conformance.differential.sides import Pair

Outcome = Literal["differs", "flips directly", "came once"]

DIRECT_RUNS = 5
"""How often two kernels are compared directly: each run is two more of the conversation."""
PROXIED_RUNS = 3
SHORTEN_SECONDS = 120.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A conversation that differed."""

    outcome: Outcome
    conversation: Conversation
    """Shortened, where it differs each time."""
    verdict: Verdict

    @property
    def by_chance(self) -> frozenset[str]:
        """The excuses that cover it, since it did not come again; none if it is a difference."""
        if self.outcome != "came once":
            return frozenset()
        return excuses.by_chance(self.verdict.differences, self.conversation)


def investigate(conversation: Conversation, verdict: Verdict) -> Finding:
    """Repeat a conversation that differed, on kernels of its own, and shorten it."""
    left = verdict.kinds - _kinds_directly(conversation)
    if not left:
        return Finding(outcome="flips directly", conversation=conversation, verdict=verdict)
    with _Laboratory() as laboratory:
        for _ in range(PROXIED_RUNS):
            again = laboratory.judge(conversation)
            if again.kinds & left:
                short, its = _shorten(laboratory, conversation, again)
                return Finding(outcome="differs", conversation=short, verdict=its)
    return Finding(outcome="came once", conversation=conversation, verdict=verdict)


def _kinds_directly(conversation: Conversation) -> frozenset[str]:
    """Return in what the conversation differs from itself without kmux."""
    kinds: frozenset[str] = frozenset()
    with Pair(("direct", "direct")) as pair:
        for _ in range(DIRECT_RUNS):
            kinds |= judge(pair, conversation).kinds
    return kinds


class _Laboratory:
    """A pair that is opened anew after each difference: the sides are not in step any more."""

    def __enter__(self) -> _Laboratory:
        self._stack = contextlib.ExitStack()
        self._pair: Pair | None = None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def judge(self, conversation: Conversation) -> Verdict:
        if self._pair is None:
            self._pair = self._stack.enter_context(Pair())
        verdict = judge(self._pair, conversation)
        if verdict.spoiled:
            self._stack.close()
            self._pair = None
        return verdict


def _shorten(
    laboratory: _Laboratory, conversation: Conversation, verdict: Verdict
) -> tuple[Conversation, Verdict]:
    """Leave out what can be left out: halves first, then single steps, then single messages."""
    deadline = time.monotonic() + SHORTEN_SECONDS
    steps, best = conversation.steps, verdict
    shorter = True
    while shorter:
        shorter = False
        for candidate in _shorter(steps):
            if time.monotonic() > deadline:
                break
            tried = laboratory.judge(Conversation(conversation.number, candidate))
            if tried.kinds & best.kinds:
                steps, best, shorter = candidate, tried, True
                break
    return Conversation(conversation.number, steps), best


def _shorter(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    half = len(steps) // 2
    if half > 1:
        yield steps[half:]
        yield steps[:half]
    for index in reversed(range(len(steps))):
        if len(steps) > 1:
            yield (*steps[:index], *steps[index + 1 :])
    for index, step in enumerate(steps):
        if any(isinstance(act, Hear) for act in step.acts):
            continue  # without its other half it would wait for ever
        for place in reversed(range(len(step.acts))):
            if len(step.acts) > 1 and isinstance(step.acts[place], Say):
                acts = (*step.acts[:place], *step.acts[place + 1 :])
                yield (*steps[:index], Step(step.name, acts), *steps[index + 1 :])
