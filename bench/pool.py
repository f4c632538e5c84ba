"""What it costs to have kernels wait: memory, a processor that rests, and to fill the pool."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from statistics import median, quantiles

import psutil

from bench.client import Client
from bench.effort import Effort
from bench.errors import BenchError
from bench.kmux_daemon import RunningDaemon
from bench.processes import cpu_seconds, memory_of
from bench.report import Result
from bench.sides import DAEMON, Sides
from bench.starts import begin_to_fill_cache
from bench.workspace import IPYKERNEL, Workspace, with_pool

SIZE = 3
SETTLE_SECONDS = 5.0
CELL_SECONDS = 0.1
"""Until the next cell of somebody who works meanwhile."""
QUIET_CELLS = 50


@dataclass(frozen=True)
class Filling:
    """What it takes to fill the pool, in seconds."""

    seconds: float
    making_cpu: float
    """Of uv, and the daemon."""
    kernels_cpu: float
    cells_before: list[float]
    """How long ``1+1`` took in a session of the same daemon, before it was filled."""
    cells_meanwhile: list[float]


@dataclass(frozen=True)
class Resting:
    """What is there while nobody does anything. Memory in bytes, CPU in seconds per second."""

    daemon_resident: int
    daemon_proportional: int
    kernels_resident: int
    kernels_proportional: int
    daemon_cpu: float
    kernels_cpu: float


def pool(workspace: Workspace, effort: Effort) -> Result:
    """Have a daemon without a pool, then one with three kernels that wait; a session in each."""
    without = _without(with_pool(workspace, "none", size=0), effort)
    filling, resting = _with(with_pool(workspace, "full", size=SIZE), effort)
    before, meanwhile = (
        [each * 1e3 for each in cells] for cells in (filling.cells_before, filling.cells_meanwhile)
    )
    return Result(
        title=f"pool: {SIZE} environments of uv with a kernel in each",
        columns=("what", "without", "with", "for each"),
        rows=[
            _row("daemon, RSS in MB", without.daemon_resident, resting.daemon_resident),
            _row("daemon, PSS in MB", without.daemon_proportional, resting.daemon_proportional),
            _row("kernels that wait, RSS in MB", 0, resting.kernels_resident),
            _row("kernels that wait, PSS in MB", 0, resting.kernels_proportional),
            _percent("daemon at rest, % of a core", without.daemon_cpu, resting.daemon_cpu),
            _percent("kernels that wait, % of a core", 0.0, resting.kernels_cpu),
            _each("to fill it, s", filling.seconds),
            _each("... CPU of uv and the daemon, s", filling.making_cpu),
            _each("... CPU of kernels, s", filling.kernels_cpu),
            ("1+1 meanwhile, ms: median", f"{median(before):.1f}", f"{median(meanwhile):.1f}", ""),
            ("... 95 of 100", f"{_most(before):.1f}", f"{_most(meanwhile):.1f}", ""),
        ],
        notes=[
            f"at rest for {effort.idle_seconds:.0f} s, with one session of ipykernel, which is not "
            "counted; the shells beside each kernel are",
            "1+1 is in that session, quiet and while the pool is filled",
        ],
        raw={"without": asdict(without), "with": asdict(resting), "filling": asdict(filling)},
    )


def _without(workspace: Workspace, effort: Effort) -> Resting:
    with Sides(workspace) as opener:
        begin_to_fill_cache(opener.daemon, workspace)
        _open_session(opener)
        return _rest(opener.daemon, effort.idle_seconds, known=_below(opener.daemon))


def _with(workspace: Workspace, effort: Effort) -> tuple[Filling, Resting]:
    with Sides(workspace) as opener:
        client = _open_session(opener)
        known = _below(opener.daemon)
        filling = _fill(opener.daemon, client, known)
        return filling, _rest(opener.daemon, effort.idle_seconds, known)


def _open_session(opener: Sides) -> Client:
    (side,) = opener.open(IPYKERNEL, [DAEMON])
    return side.client


def _fill(daemon: RunningDaemon, client: Client, known: set[int]) -> Filling:
    before = [_cell(client) for _ in range(QUIET_CELLS)]
    failed: list[Exception] = []
    asked, used = time.perf_counter(), _making_cpu(daemon)
    filler = threading.Thread(target=_warm, args=(daemon, failed))
    filler.start()
    meanwhile = []
    while filler.is_alive():
        meanwhile.append(_cell(client))
    filler.join()
    seconds = time.perf_counter() - asked
    if failed:
        raise BenchError(f"the pool is not full: {failed[0]}") from failed[0]
    kernels = _below(daemon) - known
    return Filling(
        seconds=seconds,
        making_cpu=_making_cpu(daemon) - used,
        kernels_cpu=sum(map(cpu_seconds, kernels)),
        cells_before=before,
        cells_meanwhile=meanwhile,
    )


def _warm(daemon: RunningDaemon, failed: list[Exception]) -> None:
    try:
        status = daemon.client.warm_pool()
        problems = [each.problem for each in status.kinds if each.problem]
        if problems or sum(each.kernels for each in status.kinds) != SIZE:
            raise BenchError("; ".join(problems) or "a kernel is missing")
    except Exception as error:
        failed.append(error)


def _cell(client: Client) -> float:
    time.sleep(CELL_SECONDS)
    return client.execute("1+1").first_output


def _making_cpu(daemon: RunningDaemon) -> float:
    """CPU of the daemon, and of all that it has started and that has ended."""
    times = psutil.Process(daemon.process.pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _rest(daemon: RunningDaemon, seconds: float, known: set[int]) -> Resting:
    time.sleep(SETTLE_SECONDS)
    kernels = _below(daemon) - known
    memories = [memory_of(pid) for pid in kernels]
    own = memory_of(daemon.process.pid)
    daemon_cpu, kernels_cpu = daemon.process.cpu_seconds(), sum(map(cpu_seconds, kernels))
    time.sleep(seconds)
    return Resting(
        daemon_resident=own.resident,
        daemon_proportional=own.proportional,
        kernels_resident=sum(each.resident for each in memories),
        kernels_proportional=sum(each.proportional for each in memories),
        daemon_cpu=(daemon.process.cpu_seconds() - daemon_cpu) / seconds,
        kernels_cpu=(sum(map(cpu_seconds, kernels)) - kernels_cpu) / seconds,
    )


def _below(daemon: RunningDaemon) -> set[int]:
    """Return the processes that the daemon has: kernels, and the shells that keep them."""
    return {each.pid for each in psutil.Process(daemon.process.pid).children(recursive=True)}


def _most(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _row(what: str, without: int, found: int) -> tuple[str, ...]:
    each = (found - without) / SIZE
    return (what, f"{without / 1e6:.1f}", f"{found / 1e6:.1f}", f"{each / 1e6:.1f}")


def _percent(what: str, without: float, found: float) -> tuple[str, ...]:
    each = (found - without) / SIZE
    return (what, f"{without * 100:.3f}", f"{found * 100:.3f}", f"{each * 100:.3f}")


def _each(what: str, found: float) -> tuple[str, ...]:
    return (what, "", f"{found:.1f}", f"{found / SIZE:.1f}")
