"""Kernels that no session has: real keepers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil
import pytest

from proxy.doctor import orphans
from proxy.doctor.orphans import check, kept_in
from proxy.doctor.processes import Process
from proxy.doctor.surroundings import Surroundings
from proxy.errors import KernelGone
from proxy.kernels.keeping import KernelDirectory
from tests.doctor.machine import LAUNCH, WAITS, Machine, bad, fixed, only


def test_a_kernel_of_a_session_is_none(machine: Machine) -> None:
    machine.kernel(machine.session("work").path)
    damaged = machine.session("damaged")
    machine.kernel(damaged.path)
    machine.damage(damaged)
    assert bad(check(Surroundings())) == [], "a damaged session is another matter"


def test_one_whose_directory_is_gone_is_ended(machine: Machine) -> None:
    directory = machine.session("work")
    keeper = machine.kernel(directory.path)
    kernel = psutil.Process(directory.kernel.pid() or 0)
    shutil.rmtree(directory.path)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what.startswith(f"a kernel runs that no session has: process {keeper} (")
    assert found.what.endswith("; its session's directory is gone")
    assert fixed(found) == f"ended process {keeper}, by SIGTERM"
    kernel.wait(10)
    assert fixed(found) == "nothing: it has ended by now"
    assert bad(check(Surroundings())) == []


def test_one_that_ignores_sigterm_is_killed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "END_SECONDS", 0.2)
    directory = machine.session("work")
    keeper = machine.kernel(
        directory.path, f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
    )
    shutil.rmtree(directory.path)
    assert fixed(only(check(Surroundings()))) == f"ended process {keeper}, by SIGKILL"


def test_one_that_another_kernel_has_replaced_is_only_told(machine: Machine) -> None:
    directory = machine.session("work")
    first = machine.kernel(directory.path)
    machine.kernel(directory.path)
    found = only(check(Surroundings()))
    assert f"process {first} (" in found.what
    assert found.advice == f"look what it is; end it: kill -TERM -- -{first}"
    assert found.fix is None


def test_one_whose_directory_comes_back_is_left_alone(machine: Machine) -> None:
    directory = machine.session("work")
    machine.kernel(directory.path)
    aside = directory.path.with_name(".aside")
    directory.path.rename(aside)
    found = only(check(Surroundings()))
    aside.rename(directory.path)
    with pytest.raises(KernelGone, match="is not what it was"):
        fixed(found)
    assert bad(check(Surroundings())) == []


def test_who_is_a_keeper_of_these_sessions(machine: Machine) -> None:
    sessions = machine.data / "sessions"
    ours = KernelDirectory(sessions / "abc").command()
    assert kept_in(Process(7, 0, (*ours, "python")), sessions) is not None
    elsewhere = KernelDirectory(Path("/elsewhere/sessions/abc")).command()
    for arguments in ((), ("/bin/sh",), tuple(elsewhere), ("/bin/sh", "-c", "x", "y", ours[4])):
        assert kept_in(Process(7, 0, arguments), sessions) is None


def test_a_keeper_of_another_version_is_not_certain(machine: Machine) -> None:
    directory = KernelDirectory(machine.data / "sessions" / "gone")
    shell, option, script, *rest = directory.command()
    mine = os.getpid()
    assert orphans.is_certain(Process(mine, 0, (shell, option, script, *rest)), directory)
    assert not orphans.is_certain(Process(mine, 0, (shell, option, f"{script} ", *rest)), directory)
    os.close(directory.begin(LAUNCH))
    assert not orphans.is_certain(Process(mine, 0, (shell, option, script, *rest)), directory)
