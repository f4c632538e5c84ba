"""Sessions on the disk that cannot be gone on with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from proxy.daemon.vocabulary import DaemonStatus
from proxy.doctor.sessions import check
from proxy.doctor.surroundings import Surroundings
from proxy.errors import DaemonSilent
from proxy.kernels.keeping import PREWARMED
from tests.daemon.answering import info
from tests.doctor.machine import Machine, bad, fixed, only

STATUS = DaemonStatus(pid=os.getpid(), version="1", socket="", started="")


def with_daemon(*sessions: str) -> Surroundings:
    """A machine on which a daemon has these sessions."""
    around = Surroundings()
    around.daemon = STATUS
    around.daemon_sessions = [info(name) for name in sessions]
    return around


def set_aside(machine: Machine) -> list[Path]:
    return list(machine.data.glob("session-*.damaged-*"))


def test_those_that_can_are_counted(machine: Machine) -> None:
    assert check(Surroundings())[0].what == "0 sessions on the disk"
    machine.session("a")
    machine.session("b")
    (found,) = check(Surroundings())
    assert found.what == "2 sessions on the disk"
    assert bad([found]) == []


def test_a_damaged_one_is_set_aside(machine: Machine) -> None:
    directory = machine.session("work")
    file = machine.damage(directory)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what.startswith(f"{file} is damaged; its kernel has ended")
    assert directory.path.exists(), "looking changes nothing"
    said = fixed(found)
    (kept,) = set_aside(machine)
    assert said == f"set it aside as {kept}"
    assert kept.name.startswith("session-id-work.damaged-20")
    assert (kept / "session.json").exists()
    assert not directory.path.exists()
    reminder = only(check(Surroundings()))
    assert (reminder.level, reminder.what) == ("warning", f"{kept} was set aside")
    shutil.rmtree(kept)
    assert bad(check(Surroundings())) == []


def test_one_whose_kernel_runs_is_left_alone(machine: Machine) -> None:
    directory = machine.session("work")
    machine.damage(directory)
    machine.kernel(directory.path)
    found = only(check(Surroundings()))
    pid = directory.kernel.pid()
    assert f"is damaged; its kernel still runs, as process {pid}" in found.what
    assert f"jupyter console --existing {directory.path}/connection.json; then kill {pid}" in (
        found.advice
    )
    assert found.fix is None


def test_one_whose_kernel_is_started_meanwhile_is_left_alone(machine: Machine) -> None:
    directory = machine.session("work")
    machine.damage(directory)
    found = only(check(Surroundings()))
    machine.kernel(directory.path)
    assert fixed(found) == "nothing: its kernel runs by now"
    assert set_aside(machine) == []


def test_one_that_was_repaired_meanwhile_is_left_alone(machine: Machine) -> None:
    machine.damage(machine.session("work"))
    found = only(check(Surroundings()))
    machine.session("work")
    assert fixed(found) == "nothing: it is whole by now"
    assert bad(check(Surroundings())) == []


def test_one_that_the_daemon_may_have_is_left_alone(machine: Machine) -> None:
    machine.session("whole")
    machine.damage(machine.session("work"))
    found = only(check(with_daemon("whole", "work")))
    assert "the daemon may have it still, as work" in found.what
    assert found.advice == "end it: kmux stop work"
    assert found.fix is None
    assert only(check(with_daemon("whole"))).fix is not None


def test_so_is_one_while_the_daemon_does_not_say(machine: Machine) -> None:
    machine.damage(machine.session("work"))
    around = Surroundings()
    around.daemon = DaemonSilent("it hangs")
    found = only(check(around))
    assert found.what.endswith("the daemon may have it still")
    assert found.fix is None


def test_a_directory_that_is_just_made_or_removed_is_none(machine: Machine) -> None:
    path = machine.data / "sessions" / "new"
    path.mkdir(parents=True)
    assert bad(check(Surroundings())) == []
    os.utime(path, (0, 0))
    found = only(check(Surroundings()))
    assert "/new/session.json is missing; its kernel has ended" in found.what
    assert fixed(found).startswith("set it aside as ")


def test_that_of_a_kernel_that_waits_for_a_session_is_none(machine: Machine) -> None:
    path = machine.data / "sessions" / "waits"
    path.mkdir(parents=True)
    (path / PREWARMED).touch()
    os.utime(path, (0, 0))
    assert bad(check(Surroundings())) == []


def test_one_of_a_later_version_is_not_touched(machine: Machine) -> None:
    file = machine.session("work").path / "session.json"
    file.write_text(file.read_text().replace('"version": 1', '"version": 99'))
    found = only(check(Surroundings()))
    assert "was written by a later version of kmux" in found.what
    assert found.advice == "upgrade this one"
    assert found.fix is None


def test_one_that_cannot_be_read_is_not_touched(machine: Machine) -> None:
    file = machine.session("work").path / "session.json"
    file.unlink()
    file.mkdir()
    found = only(check(Surroundings()))
    assert found.what == f"cannot read {file}: Is a directory"
    assert found.fix is None


def test_two_of_a_name(machine: Machine) -> None:
    machine.session("work", "1")
    second = machine.session("work", "2")
    keeper = machine.kernel(second.path)
    found = only(check(Surroundings()))
    assert found.what.startswith(f"{second.path} is another session 'work', whose kernel runs (")
    assert f"process {keeper} (" in found.what
    assert "kmux rename work ANOTHER-NAME" in found.advice


@pytest.mark.parametrize("what", ["sessions", "."])
def test_what_cannot_be_looked_into(machine: Machine, what: str) -> None:
    if what == "sessions":
        (machine.data / "sessions").write_text("")
    else:
        shutil.rmtree(machine.data)
    assert bad(check(Surroundings())) == []
