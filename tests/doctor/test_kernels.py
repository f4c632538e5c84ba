"""Kernels that are dead, and what else sessions say of themselves."""

from __future__ import annotations

import os
import signal

import msgspec

from proxy.doctor.kernels import check, judge
from proxy.doctor.surroundings import Surroundings
from proxy.errors import DaemonSilent
from proxy.wire.connection import ConnectionInfo
from tests.daemon.answering import info
from tests.doctor.machine import Machine, bad, only
from tests.frontends.kmux_process import until


def test_what_sessions_say_is_told() -> None:
    assert judge(info("work")) is None
    dead = msgspec.structs.replace(info("work"), status="dead", problem="killed", daemon=True)
    found = judge(dead)
    assert found is not None
    assert found.what == "the kernel of work is dead: killed"
    assert found.advice == "kmux restart work, or kmux stop work"
    found = judge(msgspec.structs.replace(dead, daemon=False))
    assert found is not None
    assert "Ctrl-C twice" in found.advice
    found = judge(msgspec.structs.replace(info("work"), problem="not recorded"))
    assert found is not None
    assert found.what == "work: not recorded"
    assert "kmux daemon logs --session work" in found.advice


def test_without_a_daemon_its_kernels_are_looked_for(machine: Machine) -> None:
    machine.kernel(machine.session("alive").path)
    (found,) = check(Surroundings())
    assert found.what == "1 kernel, none dead"


def test_a_kernel_that_was_killed(machine: Machine) -> None:
    directory = machine.session("work")
    machine.kernel(directory.path)
    directory.kernel.output_file.write_text("first\nlast words\n")
    pid = directory.kernel.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: directory.kernel.exit_status() is not None, "its keeper has seen it")
    found = only(check(Surroundings()))
    assert found.level == "warning"
    assert found.what == (
        "the kernel of work is dead: the kernel was killed by SIGKILL: last words"
    )
    assert found.advice == "kmux daemon start, then kmux restart work, or kmux stop work"


def test_a_kernel_whose_end_nobody_saw(machine: Machine) -> None:
    machine.session("work")
    found = only(check(Surroundings()))
    assert found.what == "the kernel of work is dead: nobody saw how it ended"


def test_a_kernel_that_somebody_else_started(machine: Machine) -> None:
    port = machine.port()
    machine.session("here", found=ConnectionInfo(key="k", shell_port=port))
    assert bad(check(Surroundings())) == []
    machine.session("gone", found=ConnectionInfo(key="k", shell_port=1))
    machine.session("far", found=ConnectionInfo(key="k", ip="10.0.0.1", shell_port=1))
    found = only(check(Surroundings()))
    assert found.what == "the kernel of gone is dead: nobody listens on its ports any more"


def test_while_a_daemon_runs_it_is_asked(machine: Machine) -> None:
    machine.session("work")
    around = Surroundings()
    around.daemon = DaemonSilent("it hangs")
    assert bad(check(around)) == []
