"""``python -m conformance.differential``: random conversations, directly and through kmux."""

from __future__ import annotations

import sys
import time

import click

from conformance.differential import report
from conformance.differential.investigate import Finding, investigate
from conformance.differential.judge import Verdict, judge
from conformance.differential.report import Run
from conformance.differential.sides import Pair, Way
from conformance.differential.writer import write
from conformance.errors import ConformanceError

CONVERSATIONS = 10_000
RESTART_EVERY = 100
"""Conversations with one pair of kernels: what accumulates in them must not make a difference, and
the first import of ipywidgets must happen now and then."""


@click.command()
@click.option(
    "--conversations",
    default=CONVERSATIONS,
    show_default=True,
    type=click.IntRange(min=1),
)
@click.option("--first", default=0, show_default=True, help="The number of the first one.")
@click.option("--seed", default=1, show_default=True)
@click.option("--only", type=int, help="Have this one alone, and show all that differs in it.")
@click.option("--control", is_flag=True, help="Compare a kernel with a kernel, without kmux.")
def main(conversations: int, first: int, seed: int, only: int | None, control: bool) -> None:
    """Have random conversations with ipykernel, directly and through kmux, and compare.

    Exits with 1 if there is a difference that is not excused.

    \b
    Example:
      python -m conformance.differential --conversations 500 --seed 7
      python -m conformance.differential --seed 7 --only 123
    """
    ways: tuple[Way, Way] = ("direct", "direct") if control else ("direct", "kmux")
    if only is not None:
        first, conversations = only, 1
    try:
        run = converse(range(first, first + conversations), seed, ways, whole=only is not None)
    except ConformanceError as error:
        click.echo(f"differential: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    report.summarise(run)
    sys.exit(0 if run.equal else 1)


def converse(
    numbers: range, seed: int, ways: tuple[Way, Way] = ("direct", "kmux"), *, whole: bool = False
) -> Run:
    """Have the conversations of these numbers; print and keep what differs."""
    run = Run()
    started = time.monotonic()
    todo = iter(numbers)
    number = next(todo, None)
    while number is not None:
        with Pair(ways) as pair:
            for _ in range(RESTART_EVERY):
                conversation = write(seed, number)
                begun = time.monotonic()
                verdict = judge(pair, conversation)
                run.count(verdict, time.monotonic() - begun)
                last, number = number, next(todo, None)
                if verdict.spoiled or number is None:
                    break
        if verdict.differences:
            _differs(run, seed, last, verdict, whole=whole)
    run.seconds = time.monotonic() - started
    return run


def _differs(run: Run, seed: int, number: int, verdict: Verdict, *, whole: bool) -> None:
    if verdict.kinds <= run.known:
        run.as_before.update(verdict.kinds)
        return
    finding: Finding = investigate(write(seed, number), verdict)
    path = report.keep(finding, seed)
    if run.add(finding) or whole:
        report.show(finding, whole=whole)
        print(f"  in full: {path}", flush=True)


if __name__ == "__main__":
    main()
