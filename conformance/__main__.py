"""``python -m conformance``: run suites directly and through kmux, and print the difference."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from conformance import compare, report, results, side
from conformance.errors import ConformanceError
from conformance.side import Choice
from conformance.sources import WORK, version
from conformance.suites import SUITES, Suite, choose


@click.command()
@click.argument("suites", nargs=-1, metavar=f"[{'|'.join(s.name for s in SUITES)}]...")
@click.option("-k", "expression", metavar="EXPRESSION", help="Only these tests, as pytest -k.")
@click.option(
    "--repeat",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Run each side so many times, to see which tests are flaky.",
)
@click.option(
    "--retries",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    help="Run tests that differ so many times more directly, to see whether they are flaky.",
)
@click.option(
    "--only-proxied",
    is_flag=True,
    help="Compare with the direct results of an earlier run.",
)
def main(
    suites: tuple[str, ...], expression: str | None, repeat: int, retries: int, only_proxied: bool
) -> None:
    """Run other projects' test suites, unmodified, directly and through kmux.

    Prints the difference test by test; exits with 1 if there is one that is not excused.

    \b
    Example:
      python -m conformance nbclient --repeat 2
      python -m conformance jupyter_client --only-proxied -k signal
    """
    try:
        chosen = choose(suites)
        with _alone():
            choice = Choice(expression=expression)
            equal = [_conform(suite, choice, repeat, retries, only_proxied) for suite in chosen]
    except ConformanceError as error:
        click.echo(f"conformance: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if all(equal) else 1)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep a second run out: results are overwritten, and time-outs do not stand company."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConformanceError("another run is going on here; wait for its end") from None
        yield


def _conform(suite: Suite, choice: Choice, repeat: int, retries: int, only_proxied: bool) -> bool:
    compare.read_excuses(suite.name)
    if only_proxied:
        direct = _earlier(suite)
    else:
        direct = [_run(suite, "direct", choice, str(n)) for n in range(1, repeat + 1)]
        if not choice.part:
            _remember(suite, direct)
    proxied = [_run(suite, "proxied", choice, str(n)) for n in range(1, repeat + 1)]
    for n in range(1, retries + 1):
        differences = compare.compare(suite, direct, proxied).differences
        # What flips directly too is the test's own doing. It gets a few chances to.
        differing = frozenset(
            d.test for d in differences if not d.excuse and d.direct != compare.MISSING
        )
        if not differing:
            break
        direct.append(_run(suite, "direct", Choice(names=differing), f"again-{n}"))
    comparison = compare.compare(suite, direct, proxied)
    report.show(f"{suite.name} {version(suite.distribution)}", direct, proxied, comparison)
    return comparison.equal


def _run(suite: Suite, which: side.Side, choice: Choice, label: str) -> results.Run:
    print(f"{suite.name}: {which}, run {label} …", flush=True)
    return side.run(suite, which, choice, label)


def _cache(suite: Suite) -> Path:
    return WORK / "results" / suite.name / "direct"


def _remember(suite: Suite, runs: list[results.Run]) -> None:
    """Keep direct results of a whole suite for ``--only-proxied``."""
    directory = _cache(suite)
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.json"):
        file.unlink()
    for number, run in enumerate(runs, 1):
        results.save(run, directory / f"{version(suite.distribution)}-{number}.json")


def _earlier(suite: Suite) -> list[results.Run]:
    """Return the direct results that were kept, if they are of the installed version."""
    wanted = version(suite.distribution)
    files = sorted(_cache(suite).glob(f"{wanted}-*.json"))
    if not files:
        raise ConformanceError(
            f"no direct results of {suite.name} {wanted} are kept; run it without --only-proxied"
        )
    return [results.load(file) for file in files]


if __name__ == "__main__":
    main()
