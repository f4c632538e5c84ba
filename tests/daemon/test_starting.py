"""Whoever waits for a session that begins, and wants it no more."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from proxy.daemon.shims import Shims
from proxy.daemon.starting import start
from proxy.daemon.vocabulary import NewSession
from tests.daemon.test_shims import shims  # noqa: F401 (a fixture)
from tests.frontends.kmux_process import Daemon, until
from tests.frontends.slow_package import SlowPackage
from tests.frontends.test_cold_start import notebook, slow  # noqa: F401 (fixtures)

pytestmark = pytest.mark.timeout(120)


@contextmanager
def asked(daemon: Daemon, notebook: Path, slow: SlowPackage) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    """Somebody waits for a kernel whose environment is being made."""
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "new", "--notebook", str(notebook)],
        env=daemon.workplace.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(slow.is_being_built, "the build has begun", 30)
        assert [session["name"] for session in daemon.json("ps")] == ["a"]
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_while_its_environment_is_being_made_ends_it(
    daemon: Daemon,
    notebook: Path,  # noqa: F811
    slow: SlowPackage,  # noqa: F811
) -> None:
    with asked(daemon, notebook, slow) as waits:
        waits.send_signal(signal.SIGINT)
        _, said = waits.communicate(timeout=10)
    assert waits.returncode != 0
    assert "Traceback" not in said
    until(lambda: daemon.json("ps") == [], "nobody wants it any more")
    ready = daemon.workplace.root / ".cache" / "kmux" / "environments" / "ready"
    assert list(ready.iterdir()) == []


def test_who_waits_for_a_session_that_is_stopped_is_told(
    daemon: Daemon,
    notebook: Path,  # noqa: F811
    slow: SlowPackage,  # noqa: F811
) -> None:
    with asked(daemon, notebook, slow) as waits:
        daemon.kmux("stop", "a")
        shown, said = waits.communicate(timeout=10)
    assert (waits.returncode, shown) == (3, "")
    assert said.splitlines()[-1].endswith("session 'a' has ended: somebody has stopped it")


def test_a_kernel_that_is_being_prepared_is_not_restarted(
    daemon: Daemon,
    notebook: Path,  # noqa: F811
    slow: SlowPackage,  # noqa: F811
) -> None:
    with asked(daemon, notebook, slow) as waits:
        assert "still being prepared" in daemon.refused("restart", "a")
        slow.may_go_on()
        shown, _ = waits.communicate(timeout=60)
        assert shown.startswith("a: kernel python3, process ")
    assert daemon.kmux("restart", "a", timeout=60).startswith("restarted a: process ")


def test_who_waits_is_told_that_the_next_daemon_goes_on_with_it(
    daemon: Daemon,
    notebook: Path,  # noqa: F811
    slow: SlowPackage,  # noqa: F811
) -> None:
    with asked(daemon, notebook, slow) as waits:
        daemon.kmux("daemon", "restart")
        shown, said = waits.communicate(timeout=10)
        assert (waits.returncode, shown) == (5, "")
        assert "goes on with session 'a'" in said.splitlines()[-1]
        slow.may_go_on()
        until(lambda: daemon.json("ps")[0]["status"] == "idle", "it went on", 60)


async def test_of_two_who_ask_at_once_only_the_first_ends_it_by_hanging_up(
    shims: Shims,  # noqa: F811
) -> None:
    wish = NewSession(kernel="python3", notebook="/somewhere/work.ipynb", find=True)
    asking = []

    async def ask() -> None:
        asking.append(await start(shims._sessions, wish))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    first, second = asking
    (live,) = shims._sessions.all()
    await second.aclose()
    assert live.gone is None
    await first.aclose()
    assert live.gone is not None
