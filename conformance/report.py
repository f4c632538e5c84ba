"""Show a comparison on the terminal."""

from __future__ import annotations

from conformance.compare import Comparison
from conformance.results import OUTCOMES, Run

LONGEST_REASON = 300


def show(title: str, direct: list[Run], proxied: list[Run], comparison: Comparison) -> None:
    """Print the counts of each run, and what differs."""
    print(f"\n{title}")
    columns = (*OUTCOMES, "seconds", "launched", "through kmux")
    print(f"  {'':8}" + "".join(f"  {name:>7}" for name in columns))
    for side, runs in (("direct", direct), ("proxied", proxied)):
        for run in runs:
            kernels = [sum(run.launched.values()), sum(run.counted.values())]
            row = [*run.counts().values(), round(run.seconds), *kernels]
            widths = (max(7, len(column)) for column in columns)
            cells = (f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            again = run.part and not runs[0].part
            print(f"  {'again' if again else side:8}" + "".join(cells))
    for fault in comparison.faults:
        print(f"  FAULT    {fault}")
    for difference in comparison.differences:
        mark = "excused " if difference.excuse else "DIFFERS "
        print(f"  {mark} {difference.test}: {difference.direct} → {difference.proxied}")
        print(f"           {(difference.excuse or difference.why)[:LONGEST_REASON]}")
    _list("fails directly too", comparison.failing_directly)
    _list("flaky directly", comparison.flaky_directly)
    _list("excuse that is not needed any more", comparison.unused_excuses)
    _list("outlived the direct run", sorted({leak for run in direct for leak in run.leaks}))
    if comparison.equal:
        print("  no difference" if not comparison.differences else "  no unexcused difference")


def _list(what: str, items: list[str]) -> None:
    for item in items:
        print(f"  {what}: {item}")
