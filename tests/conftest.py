"""Profiles, markers and fixtures for all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import zmq
from hypothesis import HealthCheck, settings

from proxy.sockets import SocketSet
from tests.frontends.kmux_process import Daemon, Workplace
from tests.running import open_context, run_sockets

# Tests have homes of their own; what uv has downloaded is for all of them.
os.environ.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))

# "fast" is the same on every run and machine; "deep" looks further and elsewhere each time:
# HYPOTHESIS_PROFILE=deep make test
settings.register_profile(
    "fast",
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="also what takes long: JupyterLab in each way to attach, and tests marked thorough",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: takes minutes; runs only with -m soak")
    config.addinivalue_line("markers", "thorough: takes long; runs only with --thorough")
    config.addinivalue_line("markers", "alone: has little time; does not run beside others (-n)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks = {
        "soak": "soak" in config.option.markexpr,
        "thorough": config.option.thorough,
        "alone": "PYTEST_XDIST_WORKER" not in os.environ,
    }
    left_out = [mark for mark, wanted in marks.items() if not wanted]
    others = [item for item in items if any(map(item.get_closest_marker, left_out))]
    if others:
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZMQ context of this test's own; fails the test that leaves a socket open."""
    with open_context() as context:
        yield context


@pytest.fixture
async def sockets(context: zmq.Context[zmq.Socket[bytes]]) -> AsyncIterator[SocketSet]:
    """A socket set that runs while the test does; its sockets are closed after it."""
    async with run_sockets() as sockets:
        yield sockets


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """A home and Jupyter directories of the test's own, for real kmux processes."""
    # A Unix socket's path has about 100 bytes: pytest's own directories are too long.
    with tempfile.TemporaryDirectory(prefix="kmux-") as runtime:
        yield Workplace(tmp_path, Path(runtime))


@pytest.fixture
def daemon(workplace: Workplace) -> Iterator[Daemon]:
    """The daemon of the workplace; it and all its kernels end with the test."""
    with workplace.daemon() as daemon:
        yield daemon
