"""Connection files that lead nowhere."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import trio

from proxy.doctor.connection_files import check
from proxy.doctor.surroundings import Surroundings
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo
from tests.daemon.answering import answering
from tests.doctor.machine import Machine, bad, fixed, only


def test_what_was_left_is_removed_and_nothing_else(machine: Machine) -> None:
    left = [machine.connection_file(name) for name in ("a", "b")]
    used = machine.connection_file("waiting")
    machine.session("waiting", endpoints=[machine.endpoint(used)])
    foreign = machine.jupyter_runtime / "kernel-1234.json"
    foreign.write_bytes(left[0].read_bytes())
    found = only(check(Surroundings()))
    assert found.level == "warning"
    names = "kernel-kmux-a.json, kernel-kmux-b.json"
    assert found.what == f"{names}: no session has them, and nobody listens"
    assert fixed(found) == f"removed {names}"
    assert not any(path.exists() for path in left)
    assert used.exists()
    assert foreign.exists()
    (found,) = check(Surroundings())
    assert found.what == "1 file of sessions, none left behind"


def test_that_of_a_damaged_session_is_left(machine: Machine) -> None:
    file = machine.connection_file("work")
    machine.damage(machine.session("work", endpoints=[machine.endpoint(file)]))
    assert only(check(Surroundings())).what.startswith("kernel-kmux-work.json: no session has it")


async def test_those_of_kmux_run_are_in_use_while_it_runs(machine: Machine) -> None:
    for name in ("mine", "mine-replay"):
        machine.connection_file(name)
    private = machine.runtime / "kernels" / "mine-12ab.json"
    connection.write(private, ConnectionInfo())
    async with answering(machine.runtime / "mine.sock", "mine"):
        found = await trio.to_thread.run_sync(partial(check, Surroundings()))
    assert bad(found) == []
    assert found[0].what == "3 files of sessions, none left behind"
    assert fixed(only(check(Surroundings()))).endswith(", mine-12ab.json")
    assert not private.exists()


def test_one_on_whose_ports_somebody_listens_is_left(machine: Machine) -> None:
    file = machine.connection_file("a", control_port=machine.port())
    found = only(check(Surroundings()))
    assert found.what.startswith(
        f"kernel-kmux-a.json: no session has it, and process {os.getpid()} ("
    )
    assert found.fix is None
    assert file.exists()


def test_so_is_one_on_whose_ports_somebody_begins_to_listen(machine: Machine) -> None:
    file = machine.connection_file("a")
    found = only(check(Surroundings()))
    machine.connection_file("a", hb_port=machine.port())
    assert fixed(found) == "they are in use, or gone, by now"
    assert file.exists()


@pytest.mark.parametrize("is_served", [True, False])
def test_ipc(machine: Machine, is_served: bool) -> None:
    machine.socket(machine.runtime / "ipc-12ab-1", is_served=is_served)
    info = ConnectionInfo(transport="ipc", ip=f"{machine.runtime}/ipc-12ab", shell_port=1)
    connection.write(machine.jupyter_runtime / "kernel-kmux-a.json", info)
    found = only(check(Surroundings()))
    assert ("somebody listens on its ports" in found.what) is is_served
    assert (found.fix is None) is is_served


def test_one_of_another_machine_is_left(machine: Machine) -> None:
    path = machine.jupyter_runtime / "kernel-kmux-far.json"
    connection.write(path, ConnectionInfo(ip="192.0.2.1", shell_port=1))
    assert bad(check(Surroundings())) == []


def test_one_that_is_damaged_is_left(machine: Machine) -> None:
    path = machine.connection_file("a")
    path.write_bytes(path.read_bytes()[:10])
    found = only(check(Surroundings()))
    assert f"{path} is not a connection file" in found.what
    assert found.advice == f"remove it: rm {path}"
    assert found.fix is None


def test_somebody_elses_is_not_looked_at(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.connection_file("a")
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert bad(check(Surroundings())) == []


def test_no_directory_is_no_file(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(machine.home / "gone"))
    assert bad(check(Surroundings())) == []
    assert not Path(machine.home / "gone").exists()
