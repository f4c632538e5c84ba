"""Conda environments, by the real py-rattler, of a channel on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from proxy.environments import uv
from proxy.environments.conda import prepare
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.progress import Progress, tell_nobody
from proxy.environments.store import Environment, Store
from proxy.errors import ConfigError, EnvironmentFailed
from tests.frontends.kmux_process import until

pytestmark = pytest.mark.timeout(180)

ASK = """
import json, sys, ipykernel, toy
print(json.dumps({"prefix": sys.prefix, "toy": toy.version}))
"""


@pytest.fixture
def channel(channel_directory: Path) -> str:
    return channel_directory.as_uri()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def make(store: Store, packages: Path, channel: str, *specs: str, **more: Any) -> Environment:
    need = CondaNeed(specs=specs, channels=(channel,), **more)
    return trio.run(prepare, need, store, uv.find(), tell_nobody, packages)


def asked(environment: Environment) -> Any:
    run = subprocess.run(
        [environment.python, "-c", ASK], capture_output=True, check=True, timeout=60
    )
    return json.loads(run.stdout)


def test_it_has_what_was_asked_for_and_a_kernel(store: Store, packages: Path, channel: str) -> None:
    seen: list[Progress] = []
    need = CondaNeed(specs=("toy=1.0",), channels=(channel,))
    made = trio.run(prepare, need, store, uv.find(), seen.append, packages)
    assert asked(made) == {"prefix": str(made.prefix), "toy": "1.0"}
    assert "toy=1.0=0" in made.manifest.packages
    assert [step.stage for step in seen][:2] == ["solving", "installing"]
    assert asked(make(store, packages, channel, "toy")) == {
        "prefix": str(store.all()[0].prefix),
        "toy": "2.0",
    }


def test_equal_needs_share_one(store: Store, packages: Path, channel: str) -> None:
    first = make(store, packages, channel, "toy=2")
    assert make(store, packages, channel, "toy >=1.5") == first
    assert make(store, packages, channel, "toy=2") == first
    assert len(store.all()) == 1


def test_what_comes_from_pypi_comes_as_well(store: Store, packages: Path, channel: str) -> None:
    made = make(store, packages, channel, "toy", pip=("six==1.16.0",), variables={"A": "b"})
    code = "import six, sys; print(six.__version__)"
    run = subprocess.run([made.python, "-c", code], capture_output=True, check=True, timeout=60)
    assert run.stdout == b"1.16.0\n"
    assert made.manifest.variables == {"A": "b"}


def test_one_that_exists_needs_no_channel(store: Store, packages: Path, channel: str) -> None:
    made = make(store, packages, channel, "toy")
    there = Path(channel.removeprefix("file://"))
    gone = there.rename(there.with_name("gone"))
    try:
        assert make(store, packages, channel, "toy") == made
    finally:
        gone.rename(there)


@pytest.mark.parametrize("spec", ["toy>99", "kmux-nosuch"])
def test_what_cannot_be_solved_is_named(
    store: Store, packages: Path, channel: str, spec: str
) -> None:
    with pytest.raises(ConfigError, match=r"^conda: ") as error:
        make(store, packages, channel, spec)
    assert spec.partition(">")[0] in str(error.value)
    assert "\n" not in str(error.value)
    assert store.all() == []


def test_a_channel_that_cannot_be_reached_is_one_line(store: Store, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match=r"packages of .*:9/c cannot be had"):
        make(store, tmp_path, "http://127.0.0.1:9/c", "toy")


_MAKE = """
import sys, trio
from pathlib import Path
from proxy.environments import uv
from proxy.environments.conda import prepare
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.store import Store
def tell(step):
    print(step.line, flush=True)
need = CondaNeed(specs=("toy",), channels=(sys.argv[2],))
trio.run(prepare, need, Store(Path(sys.argv[1])), uv.find(), tell, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("stage", ["solving", "installing"])
def test_one_that_was_killed_at_it_leaves_nothing_that_is_used(
    store: Store, tmp_path: Path, packages: Path, channel: str, stage: str
) -> None:
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "cache"), channel, str(packages)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(stage):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert store.all() == []
    store.sweep()
    assert asked(make(store, packages, channel, "toy"))["toy"] == "2.0"


def test_one_that_is_cancelled_leaves_nothing(
    store: Store, tmp_path: Path, packages: Path, channel: str
) -> None:
    async def cancelled() -> None:
        with trio.CancelScope() as scope:

            def tell(step: Progress) -> None:
                if step.stage == "installing":
                    scope.cancel()

            need = CondaNeed(specs=("toy",), channels=(channel,))
            await prepare(need, store, uv.find(), tell, packages)
        assert scope.cancelled_caught

    trio.run(cancelled)
    assert store.all() == []

    def is_swept() -> bool:  # rattler's own threads may write a moment longer
        store.sweep()
        return not list((tmp_path / "cache" / "building").iterdir())

    until(is_swept, "nothing is left")
