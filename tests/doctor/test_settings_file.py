"""Settings that can be read, and those that cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.doctor.settings_file import check
from proxy.doctor.surroundings import Surroundings
from tests.doctor.machine import Machine, bad, only


@pytest.fixture
def file(machine: Machine) -> Path:
    path = machine.home / "config" / "kmux" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def test_how_many_are_set(machine: Machine, file: Path) -> None:
    (found,) = check(Surroundings())
    assert found.what == "no file; 0 settings other than the default"
    file.write_text('restart = "owner"')
    (found,) = check(Surroundings())
    assert found.what == f"{file}; 1 setting other than the default"
    assert bad([found]) == []


@pytest.mark.parametrize(
    ("text", "what", "advice"),
    [
        ("restart = owner", "is not TOML", "a line of it looks like"),
        ("restrat = 1", "line 1: there is no setting 'restrat'", "did you mean restart?"),
        ("restart = 1", "restart must be allow, owner or refuse, not 1", ""),
    ],
)
def test_what_is_wrong_is_an_error(file: Path, text: str, what: str, advice: str) -> None:
    file.write_text(text)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert what in found.what
    assert advice in found.advice


def test_a_file_that_cannot_be_read(file: Path) -> None:
    file.mkdir()
    found = only(check(Surroundings()))
    assert found.what == f"cannot read {file}: Is a directory"
    assert found.advice == "make it readable, or set KMUX_CONFIG to another file"
