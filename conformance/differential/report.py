"""What a run says on the terminal, and what it keeps below ``work/differential``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from conformance.differential.excuses import ALWAYS, AMENDMENTS, CHANCE
from conformance.differential.investigate import Finding
from conformance.differential.judge import Verdict
from conformance.sources import WORK

DIRECTORY = WORK / "differential"
ENOUGH_CONVERSATIONS = 5000
"""In fewer it is chance whether an excuse is needed."""
LINE = 300


@dataclass(slots=True)
class Run:
    """The figures of a run, and what it found."""

    conversations: int = 0
    seconds: float = 0.0
    talked: float = 0.0
    """Seconds of conversation, without starting kernels and investigating."""
    said: int = 0
    heard: int = 0
    slowest: float = 0.0
    excused: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    as_before: Counter[str] = field(default_factory=Counter)
    """By kind: conversations that differ like one that was investigated before."""
    by_chance: Counter[str] = field(default_factory=Counter)
    """By excuse: conversations that differed once, in what differs by chance."""

    def add(self, finding: Finding) -> bool:
        """Take a finding in. Returns whether it is one to be shown."""
        self.by_chance.update(finding.by_chance)
        if finding.by_chance:
            return False
        self.findings.append(finding)
        return True

    def count(self, verdict: Verdict, seconds: float) -> None:
        self.conversations += 1
        self.said += verdict.said
        self.heard += verdict.heard
        self.excused += verdict.excused
        self.talked += seconds
        self.slowest = max(self.slowest, seconds)

    @property
    def known(self) -> frozenset[str]:
        """In what conversations differed through kmux. What flips directly may yet be its doing."""
        found = (f.verdict.kinds for f in self.findings if f.outcome != "flips directly")
        return frozenset().union(*found)

    @property
    def equal(self) -> bool:
        return all(finding.outcome == "flips directly" for finding in self.findings)


def show(finding: Finding, *, whole: bool = False) -> None:
    """Print one finding: the conversation and what differs in it."""
    longest = None if whole else LINE
    print(f"\nconversation {finding.conversation.number} {finding.outcome}")
    for line in finding.conversation.lines():
        print(f"  {line[:longest]}")
    for difference in finding.verdict.differences:
        for line in difference.lines():
            print(f"  {line[:longest]}")


def keep(finding: Finding, seed: int) -> Path:
    """Write a finding down in full. Returns the file."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{seed}-{finding.conversation.number}.txt"
    lines = [finding.outcome, *finding.conversation.lines()]
    for difference in finding.verdict.differences:
        lines += ["", difference.where, *difference.kinds]
        lines += ["  direct:", *(f"    {line}" for line in difference.direct)]
        lines += ["  through kmux:", *(f"    {line}" for line in difference.proxied)]
    path.write_text("\n".join(lines) + "\n")
    return path


def summarise(run: Run) -> None:
    """Print figures, excuses and the list of what was found."""
    print(
        f"\n{run.conversations} conversations, {run.said} messages to each kernel and {run.heard} "
        f"from it, in {run.seconds:.0f} s; {run.conversations / run.talked:.1f} a second while "
        f"they talk, the longest {run.slowest:.1f} s"
    )
    for chance in CHANCE:
        if count := run.by_chance[chance.name]:
            print(f"  by chance, {count} times: {chance.name}: {chance.reason}")
    for excuse in (*AMENDMENTS, *ALWAYS):
        what = "known bug" if excuse.bug else "excused"
        if count := run.excused[excuse.name]:
            print(f"  {what}, {count} times: {excuse.name}: {excuse.reason}")
        elif run.conversations >= ENOUGH_CONVERSATIONS:
            print(f"  excuse that is not needed any more: {excuse.name}")
    for finding in run.findings:
        kinds = sorted(finding.verdict.kinds)
        more = max((run.as_before[kind] for kind in kinds), default=0)
        also = f" and {more} more" if more else ""
        print(f"  {finding.outcome.upper()}: conversation {finding.conversation.number}{also}")
        for kind in kinds:
            print(f"    {kind[:LINE]}")
    print("  no difference" if run.equal else "  DIFFERENT")
