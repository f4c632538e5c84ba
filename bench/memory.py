"""What kmux keeps in memory for widgets, frontends and cells, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.effort import Effort
from bench.report import Result
from bench.sides import KMUX, ZMQ_PROXY, Side, Sides
from bench.widgets import close, create
from bench.workspace import IPYKERNEL, Workspace

TRIM_SECONDS = 12.0
"""kmux gives back what is worthwhile every 10 s (proxy/memory.py)."""
WARM_UP = 0.1
"""Of the load: so that what is measured is no code that is loaded."""
_CELL = "print('x' * 60)\n1"
_CELLS_AT_ONCE = 100

Load = Callable[[Sides, Side, int, ExitStack], None]
"""Puts a load of so many on a side; leaving the stack takes it away."""


class _Subject:
    """One kind of load, on a kmux of its own. Sizes are in bytes."""

    def __init__(
        self, name: str, opener: Sides, load: Load, count: int, through: str = KMUX
    ) -> None:
        self.name = name
        self.count = count
        self.before = 0
        self.at_once: list[int] = []
        self.later: list[int] = []
        self.gone: list[int] = []
        self._opener = opener
        self._load = load
        (self._side,) = opener.open(IPYKERNEL, [through])
        self._stack = ExitStack()

    def load(self, share: float = 1.0) -> None:
        self._load(self._opener, self._side, round(self.count * share), self._stack)

    def unload(self) -> None:
        self._stack.close()

    def resident(self) -> int:
        """Return how much memory kmux has in use, once it has nothing to do."""
        assert self._side.proxy is not None
        self._side.proxy.settled_cpu_seconds()
        return self._side.proxy.resident_bytes()

    def each(self, growth: float) -> str:
        """Show a growth in KB for each of what was loaded."""
        return f"{growth / self.count / 1e3:.2f}"


def memory(workspace: Workspace, effort: Effort) -> Result:
    """Each load comes and goes several times."""
    with Sides(workspace) as opener:
        subjects = [
            *(_Subject("model", opener, _make_models, count) for count in effort.memory_models),
            _Subject("frontend", opener, _attach, effort.memory_frontends),
            _Subject(
                f"{ZMQ_PROXY}'s frontend", opener, _attach, effort.memory_frontends, ZMQ_PROXY
            ),
            _Subject("execution", opener, _execute, effort.memory_executions),
        ]
        for subject in subjects:
            subject.load(WARM_UP)
            subject.unload()
        time.sleep(TRIM_SECONDS)
        for subject in subjects:
            subject.before = subject.resident()
        for _ in range(effort.memory_cycles):
            _cycle(subjects)
    rows = [
        (
            f"{subject.count:,} × {subject.name}",
            f"{subject.before / 1e6:.1f}",
            f"{subject.at_once[0] / 1e6:.1f}",
            subject.each(subject.at_once[0] - subject.before),
            subject.each(subject.gone[0] - subject.before),
            subject.each((subject.gone[-1] - subject.gone[0]) / (len(subject.gone) - 1)),
        )
        for subject in subjects
    ]
    return Result(
        title="memory: what kmux grows by, in KB for each",
        columns=(
            "load",
            "RSS before, MB",
            "with it",
            "KB each",
            "kept 12 s after they went",
            "more with each further time",
        ),
        rows=rows,
        notes=[
            "a model is a third of an IntSlider; a frontend has five connections, and has asked "
            "for kernel_info; an execution prints a line and has a result",
            f"each load stayed for {TRIM_SECONDS:.0f} s and went, {effort.memory_cycles} times; "
            "executions have nothing that goes: their last column is the growth",
        ],
        raw={
            f"{subject.count} {subject.name}": {
                "before": subject.before,
                "at_once": subject.at_once,
                "later": subject.later,
                "gone": subject.gone,
            }
            for subject in subjects
        },
    )


def _cycle(subjects: list[_Subject]) -> None:
    """Load and unload them all, with one wait for all of them after each."""
    for subject in subjects:
        subject.load()
        subject.at_once.append(subject.resident())
    time.sleep(TRIM_SECONDS)
    for subject in subjects:
        subject.later.append(subject.resident())
        subject.unload()
    time.sleep(TRIM_SECONDS)
    for subject in subjects:
        subject.gone.append(subject.resident())


def _make_models(opener: Sides, side: Side, count: int, stack: ExitStack) -> None:
    create(side.client, count)
    stack.callback(close, side.client, count)


def _attach(opener: Sides, side: Side, count: int, stack: ExitStack) -> None:
    for _ in range(count):
        frontend = stack.enter_context(opener.frontend(side))
        frontend.ask("kernel_info_request", {})


def _execute(opener: Sides, side: Side, count: int, stack: ExitStack) -> None:
    for _ in range(0, count, _CELLS_AT_ONCE):
        side.client.cells_at_once(_CELL, _CELLS_AT_ONCE)
