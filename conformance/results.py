"""What a run of a suite left behind: outcomes by test, kernels, time, leaks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from conformance.watch import junit_name

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed")
"""Also the order of display; a test that is reported more than once has its worst."""

_WORST_FIRST = ("error", "failed", "passed", "xfailed", "skipped")


class Outcome(msgspec.Struct, kw_only=True):
    """How one test ended, and the line that says why."""

    outcome: str
    why: str = ""


class Run(msgspec.Struct, kw_only=True):
    """One run of a suite on one side."""

    outcomes: dict[str, Outcome]
    launched: dict[str, int]
    """By test: kernels that the suite's process launched, through kmux or not."""
    past_kmux: dict[str, int]
    """By test: those of them that were launched without kmux."""
    counted: dict[str, int]
    """By test: kernels that kmux was started for. Those that a suite kills at once are missing,
    those that another process of the suite launched are here only."""
    leaks: list[str]
    """Processes that outlived the run."""
    seconds: float
    status: int
    """pytest's exit status; above 1 it did not run all tests."""
    part: bool = False
    """Whether only some of the suite's tests were asked for."""

    def counts(self) -> dict[str, int]:
        """Return the number of tests by outcome."""
        counter = Counter(outcome.outcome for outcome in self.outcomes.values())
        return {outcome: counter[outcome] for outcome in OUTCOMES}


def read_junit(path: Path) -> dict[str, Outcome]:
    """Return the outcomes in a junit file by test (:func:`junit_name`)."""
    outcomes: dict[str, Outcome] = {}
    if not path.exists():
        return outcomes
    for case in ET.parse(path).iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        new = _outcome(case)
        old = outcomes.get(test)
        if old is None or _WORST_FIRST.index(new.outcome) < _WORST_FIRST.index(old.outcome):
            outcomes[test] = new
    return outcomes


def _outcome(case: ET.Element) -> Outcome:
    for tag, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        element = case.find(tag)
        if element is not None:
            expected = element.get("type") == "pytest.xfail"
            said = (element.get("message") or element.text or "").strip().splitlines()
            return Outcome(outcome="xfailed" if expected else outcome, why=said[0] if said else "")
    return Outcome(outcome="passed")


def read_launches(path: Path) -> list[tuple[str, list[str]]]:
    """Return what launch.py or watch.py noted: the test and the argv of each kernel."""
    if not path.exists():
        return []
    records = (json.loads(line) for line in path.read_text().splitlines())
    # PYTEST_CURRENT_TEST ends in the phase, as " (call)".
    return [(junit_name(record["test"].rpartition(" ")[0]), record["argv"]) for record in records]


def save(run: Run, path: Path) -> None:
    path.write_bytes(msgspec.json.encode(run))


def load(path: Path) -> Run:
    return msgspec.json.decode(path.read_bytes(), type=Run)
