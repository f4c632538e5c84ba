"""Run a suite once, on one side: pytest in a process of its own, with everything around it.

Each run has a home, a runtime directory and kernelspecs that nobody else sees. All that it
starts has a mark in its environment, by which processes that outlive it are found and ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil

from conformance import launch, redirect, results, watch
from conformance.sources import WORK, unpack, version
from conformance.suites import DRIVERS, Suite

Side = Literal["direct", "proxied"]

LEAK_GRACE_SECONDS = 15.0
"""Kernels that watch their parent look once a second; kmux gives a kernel 5 s to end."""
STOP_GRACE_SECONDS = 10.0

_MARK = "KMUX_CONFORMANCE_RUN"
_OUTSIDE = ("JUPYTER_", "JPY_", "KMUX_", "PYTEST_", "IPYTHON", "XDG_", "COV_")
"""Settings of the caller that a suite, a kernel or kmux would heed."""
_COMMON_OPTIONS = (
    *("-p", "conformance.watch", "-p", "no:randomly", "-p", "no:trio", "-p", "no:cacheprovider"),
    *("-o", "junit_family=xunit2", "--color=no", "--timeout=100"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which tests of a suite to run: all, or those of a pytest expression, or named ones."""

    expression: str | None = None
    names: frozenset[str] | None = None
    """As junit files name them."""

    @property
    def part(self) -> bool:
        return self.expression is not None or self.names is not None


def run(suite: Suite, side: Side, choice: Choice, label: str) -> results.Run:
    """Run a suite and return what came out.

    Log and junit file stay below ``work/results``, with ``label`` in their names.
    """
    output = WORK / "results" / suite.name
    output.mkdir(parents=True, exist_ok=True)
    junit, log = output / f"{side}-{label}.xml", output / f"{side}-{label}.log"
    for old in (junit, log):
        old.unlink(missing_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="kmuxc"))  # short: it holds Unix sockets
    counted, watched, mark = scratch / "counted", scratch / "watched", secrets.token_hex(8)
    try:
        environment = _environment(suite, side, scratch, counted)
        environment |= {_MARK: mark, watch.FILE_VARIABLE: str(watched)}
        if choice.names is not None:
            environment[watch.ONLY_VARIABLE] = "\n".join(sorted(choice.names))
        started = time.monotonic()
        status = _pytest(suite, choice.expression, junit, log, environment, mark)
        seconds = time.monotonic() - started
        leaks = _end_leaks(mark)
        launched = results.read_launches(watched)
        through_kmux = results.read_launches(counted)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return results.Run(
        outcomes=results.read_junit(junit),
        launched=Counter(test for test, _ in launched),
        past_kmux=Counter(
            test for test, argv in launched if os.path.abspath(launch.__file__) not in argv
        ),
        counted=Counter(test for test, _ in through_kmux),
        leaks=leaks,
        seconds=seconds,
        status=status,
        part=choice.part,
    )


def _environment(suite: Suite, side: Side, scratch: Path, counted: Path) -> dict[str, str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OUTSIDE) or name == "KMUX_LOG_LEVEL"
    }
    home, runtime = scratch / "home", scratch / "run"
    home.mkdir()
    real, redirected = scratch / "real", scratch / "kmux"
    redirect.write_real(real)
    path = [str(real)]
    plain = {}
    if side == "proxied":
        redirect.write_redirects(redirected, suite.redirects, counted)
        path.insert(0, str(redirected))
        plain = {
            watch.PLAIN_TESTS_VARIABLE: "\n".join(suite.plain),
            watch.PLAIN_PATH_VARIABLE: str(real),
        }
    # Kernelspecs say "python3.11", and suites start commands of this environment by name.
    commands = os.pathsep.join([sysconfig.get_path("scripts"), environment.get("PATH", "")])
    return (
        environment
        | plain
        | {
            "HOME": str(home),
            "KMUX_RUNTIME_DIR": str(runtime),
            "KMUX_DATA_DIR": str(home / "data"),
            "KMUX_POOL_UV": "0",
            "KMUX_POOL_CONDA": "0",
            "JUPYTER_PATH": os.pathsep.join(path),
            "PATH": commands,
        }
    )


def _pytest(
    suite: Suite,
    expression: str | None,
    junit: Path,
    log: Path,
    environment: dict[str, str],
    mark: str,
) -> int:
    """Run pytest to its end, or to the suite's limit. Returns its exit status."""
    command = [sys.executable, "-m", "pytest", *_COMMON_OPTIONS, *suite.options]
    command.append(f"--junitxml={junit}")
    if suite.drivers:
        version(suite.distribution)
        directory = DRIVERS
        command += ["-c", str(DRIVERS / "pytest.ini"), "--rootdir", str(DRIVERS)]
    else:
        directory = unpack(suite.distribution)
    if expression is not None:
        command += ["-k", expression]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(suite.limit_seconds)
        except subprocess.TimeoutExpired:
            return 124  # as timeout(1) does
        finally:
            _stop(process)
            if sys.exception() is not None:
                _end_leaks(mark, grace=0)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # pytest then still writes its junit file
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_GRACE_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()


def _end_leaks(mark: str, grace: float = LEAK_GRACE_SECONDS) -> list[str]:
    """Give what a run started time to end; end the rest, and say what it was."""
    deadline = time.monotonic() + grace
    while (left := list(_marked(mark))) and time.monotonic() < deadline:
        time.sleep(0.2)
    leaks = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            age = time.time() - process.create_time()
            leaks.append(f"{' '.join(process.cmdline())} ({age:.0f} s old)")
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return leaks


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
