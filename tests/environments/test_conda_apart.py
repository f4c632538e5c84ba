"""Conda environments made by another process: what it says, and what becomes of it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from proxy.environments import conda_apart
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.progress import Progress, tell_nobody
from proxy.environments.store import Store
from proxy.errors import ConfigError, EnvironmentFailed

pytestmark = pytest.mark.timeout(120)

MODULE = "proxy.environments.conda_apart"


async def test_it_is_at_rest_and_tells_its_steps(
    tmp_path: Path, channel_directory: Path, packages: Path
) -> None:
    channel = channel_directory.as_uri()
    niceness: set[int] = set()
    steps: list[Progress] = []

    def tell(step: Progress) -> None:
        steps.append(step)
        children = psutil.Process().children()  # other tests of this process may have some
        niceness.update(each.nice() for each in children if MODULE in each.cmdline())

    need = CondaNeed(specs=("toy",), channels=(channel,), variables={"A": "b"})
    make = conda_apart.make(need, tell, packages, is_offline=False)
    made = await Store(tmp_path / "cache").make("it", make)
    assert {step.stage for step in steps} >= {"solving", "installing"}
    assert niceness == {19}
    assert made.python.is_file()
    assert made.manifest.variables == {"A": "b"}
    assert "toy=2.0=0" in made.manifest.packages

    unsolvable = CondaNeed(specs=("toy>99",), channels=(channel,))
    make = conda_apart.make(unsolvable, tell_nobody, packages, is_offline=False)
    with pytest.raises(ConfigError, match=r"^conda: .*toy"):
        await Store(tmp_path / "cache").make("other", make)


async def test_one_that_dies_is_one_line(tmp_path: Path) -> None:
    def end(step: Progress) -> None:
        for child in psutil.Process(os.getpid()).children():
            child.kill()

    need = CondaNeed(specs=("toy",), channels=("http://127.0.0.1:9/c",))
    make = conda_apart.make(need, end, tmp_path, is_offline=False)
    with pytest.raises(EnvironmentFailed, match="conda: the process that makes it ended with") as e:
        await make(tmp_path / "it", tmp_path / "there")
    assert "\n" not in str(e.value)
