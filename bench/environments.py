"""How long it takes from asking for a notebook's kernel to its first output, by its environment.

Two daemons, one with a pool of environments and one with kernels in them too, each with a cache of
its own. They make anew what was taken between the rounds, and nothing is measured until they rest.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import zmq

from bench import starts
from bench.effort import Effort
from bench.errors import BenchError
from bench.kmux_daemon import open_daemon
from bench.report import Result, Target, median_and_range
from bench.starts import Start, store_of, write_notebook
from bench.workspace import Workspace, with_pool
from proxy.daemon.vocabulary import SessionInfo
from proxy.errors import Unreachable

KERNEL_LIMIT_MS = 100.0
ENVIRONMENT_LIMIT = 1.2

DIRECT = "python -m ipykernel_launcher"
CACHED = "cached inline environment"
ENVIRONMENT = "prewarmed environment"
KERNEL = "prewarmed kernel"
COLD = "cold: to be made, packages in uv's cache"
EMPTY = "cold, uv's cache empty"

INLINE = ("six",)
CHANGED = ("six", "toolz")
"""Another list: the environment is made each time, and taken away again."""
SETTLE_SECONDS = 1.0
NTERACT = "nteract's daemon, warm: 2.6 to 4.1 s measured, less than 1 s by its own account"
BYTECODE = (
    "all but the cold ones have the bytecode of all that they import: the pool's environments are "
    "compiled, the other has been started before; it is the one of the bare start too"
)


def environments(workspace: Workspace, effort: Effort) -> Result:
    """Start a kernel in each way, in turns; the first round is to load what is loaded once."""
    starts_of: dict[str, list[Start]] = defaultdict(list)
    with ExitStack() as stack:
        measured = _Measured(workspace, stack)
        try:
            starts_of[EMPTY].append(measured.cold())
        except Unreachable as error:
            raise BenchError(f"nothing can be installed: {error}") from None
        for number in range(1 + effort.start_rounds):
            measured.fill()
            for name, start in measured.ways.items():
                measured.await_rest()
                found = start()
                if number:
                    starts_of[name].append(found)
        measured.fill()
        for _ in range(effort.cold_start_rounds):
            measured.await_rest()
            starts_of[COLD].append(measured.cold())
    outputs = {name: [each.output for each in all_of] for name, all_of in starts_of.items()}
    middle = {name: median(values) for name, values in outputs.items()}
    bare = middle[DIRECT]
    return Result(
        title="environments: from asking for a notebook's kernel to the output of its first cell",
        columns=("the notebook has", "first output, ms", "of a bare start", "begun", "greeted"),
        rows=[
            (
                name,
                median_and_range([each.output * 1e3 for each in all_of]),
                f"{middle[name] / bare:.2f}",
                f"{median(each.begun for each in all_of) * 1e3:.0f}",
                f"{median(each.greeted for each in all_of) * 1e3:.0f}",
            )
            for name in (DIRECT, CACHED, ENVIRONMENT, KERNEL, COLD, EMPTY)
            if (all_of := starts_of[name])
        ],
        targets=[
            Target(text=f"{KERNEL}, ms", measured=middle[KERNEL] * 1e3, limit=KERNEL_LIMIT_MS),
            *(
                Target(
                    text=f"{name}, in units of a bare start",
                    measured=middle[name] / bare,
                    limit=ENVIRONMENT_LIMIT,
                )
                for name in (ENVIRONMENT, CACHED)
            ),
        ],
        notes=[NTERACT, BYTECODE],
        raw={
            name: [[each.begun, each.greeted, each.output] for each in all_of]
            for name, all_of in starts_of.items()
        },
    )


class _Measured:
    """The daemons, and each way to start a kernel."""

    def __init__(self, workspace: Workspace, stack: ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(self._context.destroy, linger=0)
        self._cool = with_pool(workspace, "cool", size=1, kernels=False)
        self._warm = with_pool(workspace, "warm", size=1)
        self._cooled = stack.enter_context(open_daemon(self._cool))
        self._warmed = stack.enter_context(open_daemon(self._warm))
        self._inline = write_notebook(workspace.directory / "inline.ipynb", INLINE)
        self._changed = write_notebook(workspace.directory / "changed.ipynb", CHANGED)
        self._plain = write_notebook(workspace.directory / "plain.ipynb", None)
        self._cached = ""
        self.ways = {
            CACHED: self._start_cached,
            DIRECT: self._start_directly,
            KERNEL: self._start_prewarmed_kernel,
            ENVIRONMENT: self._start_in_prewarmed_environment,
        }
        """In this order: the second has the environment of the first, and what the last two take is
        made anew 5 s later."""

    def fill(self) -> None:
        """Have both pools full."""
        for daemon in (self._cooled, self._warmed):
            (kind,) = (each for each in daemon.client.warm_pool().kinds if each.kind == "uv")
            if kind.problem:
                raise BenchError(f"the pool is not full: {kind.problem}")

    def await_rest(self) -> None:
        """Have neither daemon busy: with what the last session left, for a start."""
        time.sleep(SETTLE_SECONDS)
        for daemon in (self._cooled, self._warmed):
            daemon.process.settled_cpu_seconds()

    def cold(self) -> Start:
        """Begin with an environment that is to be made, and take it away afterwards."""
        start, session = self._begin(self._changed, "uv:inline")
        store = store_of(self._cool)
        store.remove(session.environment)
        store.sweep()
        return start

    def _start_cached(self) -> Start:
        start, session = self._begin(self._inline, "uv:inline")
        self._cached = session.environment
        return start

    def _start_directly(self) -> Start:
        environment = store_of(self._cool).find(self._cached)
        assert environment is not None
        return starts.begin_directly(environment, self._cool, self._context)

    def _start_in_prewarmed_environment(self) -> Start:
        start, _ = self._begin(self._plain, "uv:prewarmed")
        return start

    def _start_prewarmed_kernel(self) -> Start:
        start, _ = starts.begin(
            self._warmed,
            self._warm,
            self._plain,
            context=self._context,
            source="uv:prewarmed",
            waited=True,
        )
        return start

    def _begin(self, notebook: Path, source: str) -> tuple[Start, SessionInfo]:
        """Begin where no kernels wait."""
        return starts.begin(
            self._cooled, self._cool, notebook, context=self._context, source=source
        )
