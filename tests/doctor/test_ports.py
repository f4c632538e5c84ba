"""Ports of sessions that wait for a daemon, and who has them meanwhile."""

from __future__ import annotations

import os

from proxy.doctor.ports import check
from proxy.doctor.surroundings import Surroundings
from proxy.errors import DaemonSilent
from tests.doctor.machine import Machine, bad, only


def test_one_that_is_taken_is_told_with_its_process(machine: Machine) -> None:
    file, port = machine.jupyter_runtime / "f.json", machine.port()
    machine.session("free", endpoints=[machine.endpoint(file, shell_port=1)])
    assert bad(check(Surroundings())) == []
    machine.session("work", endpoints=[machine.endpoint(file, iopub_port=port)])
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what.startswith(f"process {os.getpid()} (")
    assert found.what.endswith(f") has port {port} of session work")
    assert found.advice.startswith("end it before kmux daemon start")
    assert found.fix is None


def test_a_daemon_that_runs_has_its_ports(machine: Machine) -> None:
    endpoint = machine.endpoint(machine.jupyter_runtime / "f.json", iopub_port=machine.port())
    machine.session("work", endpoints=[endpoint])
    around = Surroundings()
    around.daemon = DaemonSilent("it hangs")
    assert bad(check(around)) == []


def test_a_shims_ports_are_its_frontends(machine: Machine) -> None:
    file, port = machine.jupyter_runtime / "f.json", machine.port()
    endpoint = machine.endpoint(file, kind="shim", iopub_port=port)
    machine.session("work", endpoints=[endpoint])
    assert bad(check(Surroundings())) == []
