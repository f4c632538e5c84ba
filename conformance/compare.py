"""The difference between a suite's direct and proxied runs, test by test.

A side that was run several times has a set of outcomes for each test. A test differs where
through kmux it ended in a way in which it never ended directly. One that ends in several ways
directly is flaky; one that does so through kmux only differs.
"""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

from conformance.errors import ConformanceError
from conformance.results import Run
from conformance.suites import Suite
from conformance.watch import junit_name

EXCUSES = Path(__file__).parent / "excuses.toml"
MISSING = "missing"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A test that ends otherwise through kmux."""

    test: str
    direct: str
    proxied: str
    why: str
    excuse: str = ""


@dataclasses.dataclass(slots=True, kw_only=True)
class Comparison:
    """All that is to say about a suite."""

    differences: list[Difference]
    failing_directly: list[str]
    flaky_directly: list[str]
    unused_excuses: list[str]
    faults: list[str]
    """What makes the comparison itself worthless, or kmux leave something behind."""

    @property
    def equal(self) -> bool:
        return not self.faults and all(difference.excuse for difference in self.differences)


def compare(suite: Suite, direct: list[Run], proxied: list[Run]) -> Comparison:
    """Compare the runs of two sides."""
    excuses = read_excuses(suite.name)
    part = any(run.part for run in proxied)
    differences, failing, flaky = [], [], []
    for test in _tests(proxied if part else [*direct, *proxied]):
        before, after = _outcomes(test, direct), _outcomes(test, proxied)
        if len(before) > 1:
            flaky.append(test)
        elif before & {"failed", "error"}:
            failing.append(test)
        if not after <= before:
            differences.append(
                Difference(
                    test=test,
                    direct=" or ".join(sorted(before)),
                    proxied=" or ".join(sorted(after)),
                    why=_why(test, proxied, after - before),
                    excuse=excuses.get(test, ""),
                )
            )
    differing = {difference.test for difference in differences}
    return Comparison(
        differences=differences,
        failing_directly=failing,
        flaky_directly=flaky,
        unused_excuses=[] if part else sorted(set(excuses) - differing),
        faults=[
            *_unfinished("direct", direct),
            *_unfinished("proxied", proxied),
            *_not_redirected(suite, direct, proxied),
            *_left_behind(direct, proxied),
        ],
    )


def read_excuses(suite: str) -> dict[str, str]:
    """Return the reason for each test of a suite that may differ.

    Raises :class:`ConformanceError` for a list that cannot be read.
    """
    try:
        entries = tomllib.loads(EXCUSES.read_text()).get("excuse", [])
        return {entry["test"]: entry["reason"] for entry in entries if entry["suite"] == suite}
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConformanceError(f"{EXCUSES.name} cannot be read: {error!r}") from None


def _tests(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(test for run in runs for test in run.outcomes))


def _outcomes(test: str, runs: list[Run]) -> set[str]:
    found = (run.outcomes.get(test) for run in runs if test in run.outcomes or not run.part)
    return {MISSING if outcome is None else outcome.outcome for outcome in found}


def _why(test: str, runs: list[Run], outcomes: set[str]) -> str:
    for run in runs:
        outcome = run.outcomes.get(test)
        if outcome is not None and outcome.outcome in outcomes:
            return outcome.why
    return ""


def _unfinished(side: str, runs: list[Run]) -> list[str]:
    return [
        f"{side}: pytest did not run to its end (exit status {run.status}); see its log"
        for run in runs
        if run.status > 1 or not run.outcomes
    ]


def _not_redirected(suite: Suite, direct: list[Run], proxied: list[Run]) -> list[str]:
    """Find kernels that kmux should have been started for."""
    plain = {junit_name(test) for test in suite.plain}
    expected = {test for run in direct for test in run.launched} - plain
    faults = []
    for run in proxied:
        if not run.counted and not run.part:
            faults.append("proxied: no kernel went through kmux: the redirection does not work")
            continue
        faults += [
            f"proxied: {count} kernel(s) past kmux in {test}"
            for test, count in run.past_kmux.items()
            if test not in plain
        ]
        faults += [
            f"proxied: no kernel in {test}, which starts one directly"
            for test in sorted(expected - set(run.launched) - set(run.counted))
            if test in run.outcomes and run.outcomes[test].outcome == "passed"
        ]
    return faults


def _left_behind(direct: list[Run], proxied: list[Run]) -> list[str]:
    allowed = max((len(run.leaks) for run in direct), default=0)
    return [
        f"proxied: {len(run.leaks)} processes outlived the run, directly {allowed}: "
        + "; ".join(run.leaks)
        for run in proxied
        if len(run.leaks) > allowed
    ]
