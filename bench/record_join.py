"""Frontends that join the record late: how long until one has the present document whole?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench import follower
from bench.effort import Effort
from bench.errors import BenchError
from bench.follower import BareJoin
from bench.npm_client import NpmClient, NpmJoin, npm_client
from bench.report import Result, Target, median_and_range
from bench.sides import KMUX, Side, Sides
from bench.widgets import close, create
from bench.workspace import IPYKERNEL, Workspace

LIMIT_MS = 250.0
"""With the fewest models. nteract's daemon: 1,243 ms for 300, on this machine."""
FIRST, AGAIN, BARE = "npm, its first", "npm, a later one", "no Automerge: bytes only"

Key = tuple[str, int]
"""The client, the number of models."""


def record_join(workspace: Workspace, effort: Effort) -> Result:
    """Clients from npm, and one that only takes the bytes, one after the other."""
    joins: dict[Key, list[float]] = defaultdict(list)
    cpu: dict[Key, list[float]] = defaultdict(list)
    own: dict[Key, list[float]] = defaultdict(list)
    sizes: dict[int, int] = {}
    with Sides(workspace) as opener:
        (side,) = opener.open(IPYKERNEL, [KMUX])
        for models in effort.record_join_models:
            create(side.client, models)
            url, root = _where(workspace, side)
            for _ in range(effort.record_join_rounds):
                with npm_client() as client:
                    for kind in (FIRST, AGAIN):
                        one, used = _npm(side, client, url, root)
                        joins[kind, models].append(one.document)
                        own[kind, models].append(one.cpu)
                        cpu[kind, models].append(used)
                        _check(one, models)
                bare, used = _bare(side, url, root)
                joins[BARE, models].append(bare.document)
                cpu[BARE, models].append(used)
                sizes[models] = bare.bytes
                _check(bare, models)
            close(side.client, models)
    return _result(joins, cpu, own, sizes, effort.record_join_models)


def _npm(side: Side, client: NpmClient, url: str, root: str) -> tuple[NpmJoin, float]:
    assert side.proxy is not None
    before = side.proxy.settled_cpu_seconds()
    joined = client.join(url, root)
    return joined, side.proxy.settled_cpu_seconds() - before


def _bare(side: Side, url: str, root: str) -> tuple[BareJoin, float]:
    assert side.proxy is not None
    before = side.proxy.settled_cpu_seconds()
    joined = follower.join(url, root)
    return joined, side.proxy.settled_cpu_seconds() - before


def _check(joined: NpmJoin | BareJoin, models: int) -> None:
    if joined.models != models:
        raise BenchError(f"a client found {joined.models} models, not {models}")


def _where(workspace: Workspace, side: Side) -> tuple[str, str]:
    """Return where a session's record is served and its root, once all is in it."""
    _ask(workspace, "-c", f"from proxy.daemon import registry; registry.flush({side.session!r})")
    listed: list[dict[str, Any]] = json.loads(_ask(workspace, "-m", "proxy", "ps", "--json"))
    (found,) = (one for one in listed if one["name"] == side.session)
    return found["record_url"], found["document"]


def _ask(workspace: Workspace, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        env=workspace.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def _result(
    joins: dict[Key, list[float]],
    cpu: dict[Key, list[float]],
    own: dict[Key, list[float]],
    sizes: dict[int, int],
    counts: Sequence[int],
) -> Result:
    rows = [
        (
            f"{models:,} models, {kind}",
            median_and_range([seconds * 1e3 for seconds in joins[kind, models]]),
            f"{median(own[kind, models]) * 1e3:.0f}" if own[kind, models] else "",
            median_and_range([seconds * 1e3 for seconds in cpu[kind, models]], 1),
            f"{sizes[models] / 1e3:,.0f}" if kind == BARE else "",
        )
        for models in counts
        for kind in (FIRST, AGAIN, BARE)
    ]
    fewest = min(counts)
    return Result(
        title="record-join: a client that connects has the present document with all models",
        columns=("client", "ms: median (range)", "its own CPU, ms", "kmux CPU, ms", "KB"),
        rows=rows,
        targets=[
            Target(
                text=f"ms until a client from npm has the document, {fewest:,} models",
                measured=median(joins[FIRST, fewest]) * 1e3,
                limit=LIMIT_MS,
            )
        ],
        notes=[
            "from npm: @automerge/automerge-repo in Node; its first: of a process that has loaded "
            "its modules and done nothing yet",
            "bytes only: what kmux and the network take, from connecting to the last byte",
            "kmux CPU is until it has settled: acknowledgements included",
        ],
        raw={
            "seconds": {f"{kind} {models}": v for (kind, models), v in joins.items()},
            "client_cpu_seconds": {f"{kind} {models}": v for (kind, models), v in own.items()},
            "kmux_cpu_seconds": {f"{kind} {models}": v for (kind, models), v in cpu.items()},
        },
    )
