"""``kmux env prune``, as a user sees it. What runs stays: test_env_remove.py."""

from __future__ import annotations

import json

import pytest

from tests.environments.made import make_environment
from tests.frontends.kmux_process import Workplace


@pytest.fixture
def aged(workplace: Workplace) -> Workplace:
    for days in (1, 10, 100):
        cache = workplace.root / ".cache" / "kmux"
        make_environment(cache, f"unused{days}", size=1_000_000, unused_days=days)
    return workplace


def left(workplace: Workplace) -> list[str]:
    ready = workplace.root / ".cache" / "kmux" / "environments" / "ready"
    return [path.name for path in ready.iterdir()]


def test_what_is_beyond_the_limit_that_was_not_used_for_the_longest_time(aged: Workplace) -> None:
    assert aged.kmux("env", "prune").stdout == "nothing to remove\n", "the setting is 20 GiB"
    pruned = aged.kmux("env", "prune", "--max-size", "2.5 MB")
    assert pruned.stdout == "removed unused100: 1.0 MB\nfreed 1.0 MB\n"
    assert pruned.stderr == ""
    by_setting = aged.kmux("env", "prune", "--json", KMUX_KEEP_ENVIRONMENT_BYTES="1500000")
    assert [each["key"] for each in json.loads(by_setting.stdout)] == ["unused10"]
    assert left(aged) == ["unused1"]


def test_what_was_not_used_for_so_many_days(aged: Workplace) -> None:
    pruned = aged.kmux("env", "prune", "--older-than", "5", KMUX_KEEP_ENVIRONMENT_BYTES="0")
    assert [line.split(":")[0] for line in pruned.stdout.splitlines()[:2]] == [
        "removed unused100",
        "removed unused10",
    ]
    assert left(aged) == ["unused1"]
