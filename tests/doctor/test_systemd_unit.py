"""A systemd user unit that starts what is there, or not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from proxy.daemon import systemd
from proxy.doctor.surroundings import Surroundings
from proxy.doctor.systemd_unit import check, program
from tests.doctor.machine import Machine, bad, only


@pytest.fixture
def unit(machine: Machine) -> Path:
    path = machine.home / "config" / "systemd" / "user" / "kmux.service"
    path.parent.mkdir(parents=True)
    return path


def starting(program: str) -> str:
    return f'[Service]\nExecStartPre=-"/bin/old"\nExecStart="{program}" -m proxy daemon serve\n'


def test_without_one_there_is_nothing_to_say(machine: Machine) -> None:
    assert bad(check(Surroundings())) == []


def test_one_that_starts_this_kmux(unit: Path) -> None:
    unit.write_text(starting(sys.executable))
    (found,) = check(Surroundings())
    assert (found.level, found.what) == ("ok", str(unit))


def test_what_kmux_writes_is_read(unit: Path) -> None:
    unit.write_text(systemd.unit({}))
    assert program(unit.read_text()) == sys.executable
    assert bad(check(Surroundings())) == []


def test_one_that_starts_what_is_gone(unit: Path) -> None:
    unit.write_text(starting("/gone/bin/python"))
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what == f"{unit} starts /gone/bin/python, which is gone"
    assert found.advice.startswith("kmux daemon install writes it anew")


def test_one_whose_python_has_no_kmux(machine: Machine, unit: Path) -> None:
    python = machine.program("python", f'exec {sys.executable} -S -E "$@"')
    unit.write_text(starting(python))
    found = only(check(Surroundings()))
    assert f"{unit} starts {python}, which has no kmux: ModuleNotFoundError" in found.what


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ExecStart=/usr/bin/kmux daemon serve", "/usr/bin/kmux"),
        ("ExecStart=-/usr/bin/kmux", "/usr/bin/kmux"),
        ('ExecStart="/a b/100%%/python" -m proxy', "/a b/100%/python"),
        ('ExecStart="/a\\\\b\\"c/python"', '/a\\b"c/python'),
        ("ExecStart=", None),
        ("ExecStart=-", None),
        ("ExecStartPre=/bin/true", None),
        ('ExecStart="/not closed', '"/not'),
    ],
)
def test_what_a_unit_starts(line: str, found: str | None) -> None:
    assert program(f"[Service]\n{line}\n") == found


def test_one_that_starts_nothing_or_cannot_be_read(unit: Path) -> None:
    unit.write_text("[Service]\n")
    assert only(check(Surroundings())).what == f"{unit} starts nothing"
    unit.write_bytes(b"\xff")
    assert "cannot be read" in only(check(Surroundings())).what
