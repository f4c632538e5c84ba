"""A daemon that answers, hangs, is another one, or is not there."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from proxy import __version__
from proxy.daemon.vocabulary import DaemonStatus
from proxy.doctor import processes, surroundings
from proxy.doctor.daemon_process import absent, check
from proxy.doctor.surroundings import Surroundings
from tests.doctor.machine import Machine, bad, only
from tests.frontends.kmux_process import until

LOCKS = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "ANSWER_SECONDS", 0.2)


@contextmanager
def locking(machine: Machine, **environment: str) -> Iterator[int]:
    """A process that has the daemon's lock, and does nothing more."""
    lock = machine.data / "daemon.lock"
    command = [sys.executable, "-c", LOCKS, str(lock)]
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:
        try:
            until(lambda: processes.lock_holder(lock) == process.pid, "it is locked")
            yield process.pid
        finally:
            process.kill()


def answering(machine: Machine, **fields: object) -> Surroundings:
    """A machine on which a daemon, this process, has answered."""
    lock = machine.data / "daemon.lock"
    lock.write_text(f"{os.getpid()}\n")
    status = DaemonStatus(
        pid=os.getpid(),
        version=__version__,
        socket="",
        started="",
        log_file=str(machine.data / "daemon.log"),
    )
    around = Surroundings()
    around.daemon = msgspec.structs.replace(status, **fields)
    return around


def test_none_is_needed_where_nobody_waits() -> None:
    assert absent(0).level == "ok"
    found = absent(2)
    assert found.level == "warning"
    assert found.what == "none runs, and 2 sessions of an earlier one wait for it"
    assert found.advice == "kmux daemon start"


def test_none(machine: Machine) -> None:
    assert bad(check(Surroundings())) == []
    machine.session("work")
    assert only(check(Surroundings())).what.startswith("none runs, and 1 session of an earlier")
    machine.socket(Surroundings().daemon_socket, is_served=False)
    (machine.data / "daemon.lock").write_text("2\n")  # a killed daemon's
    assert only(check(Surroundings())).what.startswith("none runs, and 1 session of an earlier")


def test_one_that_is_well(machine: Machine) -> None:
    (found,) = check(answering(machine, sessions=2))
    assert found.level == "ok"
    assert found.what == f"process {os.getpid()}, version {__version__}, 2 sessions"


def test_one_of_another_version(machine: Machine) -> None:
    found = only(check(answering(machine, version="0.0.1")))
    assert found.level == "error"
    assert found.what == f"the daemon is of version 0.0.1, and this is {__version__}"
    assert found.advice.startswith("kmux daemon restart")


def test_one_that_is_no_process_here(machine: Machine) -> None:
    found = only(check(answering(machine, pid=2**22 + 1)))
    assert "is no process here" in found.what


def test_one_with_other_data(machine: Machine) -> None:
    found = only(check(answering(machine, log_file="/elsewhere/daemon.log")))
    assert found.what == (
        f"the daemon has its data in /elsewhere, and these commands in {machine.data}"
    )
    assert "set KMUX_DATA_DIR alike" in found.advice


def test_one_whose_lock_was_removed(machine: Machine) -> None:
    around = answering(machine)
    (machine.data / "daemon.lock").unlink()
    found = only(check(around))
    assert found.level == "warning"
    assert "was removed" in found.what


def test_two(machine: Machine) -> None:
    around = answering(machine)
    with locking(machine) as pid:
        found = only(check(around))
    assert found.what.startswith(
        f"process {os.getpid()} answers as the daemon, and process {pid} ("
    )


def test_one_that_has_its_lock_and_does_not_answer(machine: Machine) -> None:
    with locking(machine) as pid:
        around = Surroundings()
        found = only(check(around))
        assert around.daemon_runs
    assert found.level == "error"
    assert found.what.startswith(f"process {pid} (")
    assert found.what.endswith(") has the daemon's lock and does not answer")
    assert f"kill -KILL {pid}" in found.advice
    machine.socket(around.daemon_socket)
    with locking(machine) as pid:
        assert only(check(Surroundings())).what.startswith(f"process {pid} (")


def test_one_that_comes_up_is_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Path] = []
    asked = surroundings._asked

    def ask(path: Path, target: str, into: type[object]) -> object:
        looks.append(path)
        return answering(machine).daemon if len(looks) == 3 else asked(path, target, into)

    monkeypatch.setattr(surroundings, "_asked", ask)
    monkeypatch.setattr(surroundings, "ANSWER_SECONDS", 60.0)
    with (machine.data / "daemon.lock").open("w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert bad(check(Surroundings())) == []
    assert len(looks) == 3


def test_one_of_a_terminal_with_another_environment(machine: Machine) -> None:
    """With XDG_RUNTIME_DIR and without: a login and a cron job."""
    with locking(machine, KMUX_RUNTIME_DIR="/run/other") as pid:
        found = only(check(Surroundings()))
    assert f"process {pid} (" in found.what
    assert found.what.endswith(
        f"is the daemon, and listens in /run/other, not in {machine.runtime}"
    )
    assert found.advice.startswith("export KMUX_RUNTIME_DIR=/run/other ")


def test_a_place_that_cannot_be_used_is_said_elsewhere(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.socket(Surroundings().daemon_socket)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert bad(check(Surroundings())) == []


def test_somebody_else_on_its_socket(machine: Machine) -> None:
    machine.socket(Surroundings().daemon_socket)
    found = only(check(Surroundings()))
    assert found.what.endswith("/daemon/control.sock and does not answer")
    assert found.what.startswith(f"process {os.getpid()} (")


def test_a_socket_that_is_none(machine: Machine) -> None:
    path = Surroundings().daemon_socket
    path.mkdir(parents=True)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what == f"{path} is no socket: no daemon can listen there"
