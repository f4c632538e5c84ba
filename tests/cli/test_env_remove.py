"""``kmux env remove``, as a user sees it, and what a kernel keeps it from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.environments.made import make_environment
from tests.frontends.kmux_process import Daemon, Workplace

pytestmark = pytest.mark.timeout(120)


def keys(cache: Path) -> set[str]:
    return {path.name for path in (cache / "environments" / "ready").iterdir()}


def test_those_that_are_named(workplace: Workplace) -> None:
    cache = workplace.root / ".cache" / "kmux"
    for key in ("abc1", "abc2", "def3"):
        made = make_environment(cache, key, size=2_000_000, shared=1_500_000)
    made.python.unlink()  # it is of no use any more
    removed = workplace.kmux("env", "remove", "d", "abc1")
    assert removed.stdout.splitlines() == [
        "removed def3: 2.0 MB",
        "removed abc1: 2.0 MB",
        "freed 1.0 MB; uv's cache still has 3.0 MB of it (uv cache prune)",
    ]
    (told,) = json.loads(workplace.kmux("env", "remove", "abc2", "--json").stdout)
    assert (told.pop("bytes") - told.pop("freed_bytes"), told) == (1_500_000, {"key": "abc2"})
    assert keys(cache) == set()


def test_one_that_a_kernel_runs_in_is_not_removed(daemon: Daemon) -> None:
    """Nor where the daemon is gone and its kernel is not: it is asked what it remembers."""
    cache = daemon.workplace.root / ".cache" / "kmux"
    for key in ("used", "free"):
        make_environment(cache, key)
    daemon.kmux("new", "analysis")
    daemon.kmux("daemon", "stop")
    (state,) = (daemon.workplace.root / "data" / "sessions").glob("*/session.json")
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({**kept, "environment": "used"}))
    assert daemon.refused("env", "remove", "free", "us") == (
        "environment used is in use by analysis; kmux stop ends a session"
    )
    assert keys(cache) == {"used", "free"}
    pruned = daemon.workplace.kmux("env", "prune", "--max-size", "0")
    assert pruned.stdout.splitlines()[0].startswith("removed free: ")
    assert pruned.stderr.endswith(" are left: kernels run in them\n")
    rows = daemon.kmux("env", "list").splitlines()
    assert rows[1].split("\t")[6] == "now: analysis"
