"""Directories that can be used, and those that cannot: real ones."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest
from jupyter_core import paths

from proxy.doctor import connection_files, kernelspecs, records, sessions
from proxy.doctor.directories import check, socket_lengths
from proxy.doctor.surroundings import Surroundings
from tests.doctor.machine import Machine, bad, fixed, only

BOTH = pytest.mark.parametrize("variable", ["KMUX_RUNTIME_DIR", "KMUX_DATA_DIR"])


def test_they_are_named(machine: Machine) -> None:
    found = check(Surroundings())
    assert bad(found) == []
    assert [finding.what for finding in found] == [
        f"runtime directory {machine.runtime}",
        f"data directory {machine.data}",
        f"Jupyter runtime directory {machine.jupyter_runtime}",
    ]
    assert list(machine.data.iterdir()) == [], "looking leaves nothing"


@BOTH
def test_one_that_is_not_there_can_be_made(
    machine: Machine, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(machine.runtime / "a" / "b"))
    found = check(Surroundings())
    assert bad(found) == []
    assert any(finding.what.endswith("/a/b, not made yet") for finding in found)
    assert not (machine.runtime / "a").exists(), "looking makes nothing"


@BOTH
def test_others_can_look_into_it(machine: Machine, variable: str) -> None:
    path = Path(machine.environment[variable])
    path.chmod(0o755)
    found = only(check(Surroundings()))
    assert found.level == "warning"
    assert found.what.startswith("others can look into the ")
    assert found.what.endswith(f" directory {path} (mode 755)")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755, "looking changes nothing"
    assert fixed(found) == f"made {path} yours alone (mode 700)"
    assert bad(check(Surroundings())) == []


def test_others_can_get_at_the_daemons_socket(machine: Machine) -> None:
    (machine.runtime / "daemon").mkdir()
    (machine.runtime / "daemon").chmod(0o750)
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert found.what.endswith("/daemon (mode 750): no daemon listens there")
    fixed(found)
    assert bad(check(Surroundings())) == []


@BOTH
@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("file", "is no directory"),
        ("file/below", "Not a directory"),
        ("/proc/self/task", "cannot write in the"),  # ours, and nobody can write there
        ("/proc/self/task/x", "cannot be written in"),
    ],
)
def test_one_that_cannot_be_used(
    machine: Machine, variable: str, place: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.runtime / "file").write_text("")
    if place.endswith("/x") and os.getuid() == 0:
        pytest.skip("root may write everywhere, as far as access(2) tells")
    monkeypatch.setenv(variable, str(machine.runtime / place))
    found = only(check(Surroundings()))
    assert found.level == "error"
    assert what in found.what
    assert f"set {variable} to a directory of your own" in found.advice


def test_somebody_elses(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.runtime / "daemon").mkdir(mode=0o700)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    found = bad(check(Surroundings()))
    assert [finding.level for finding in found] == ["error"] * 4
    assert all("belongs to another user" in finding.what for finding in found)


def test_a_link_that_anybody_may_have_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KMUX_RUNTIME_DIR")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(machine.runtime))
    link = machine.runtime / f"kmux-{os.getuid()}"
    link.symlink_to(tmp_path)
    around = Surroundings()
    assert only(check(around)).what == f"{link} leads elsewhere"
    assert around.runtime is None


def test_nobody_has_no_home(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("KMUX_DATA_DIR")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(paths, "jupyter_data_dir", nobody)
    around = Surroundings()
    assert [(finding.what, finding.advice) for finding in bad(check(around))] == [
        ("this user has no home directory", "set KMUX_DATA_DIR"),
        ("Jupyter finds nothing without a home directory", "set HOME"),
    ]
    assert around.data is around.jupyter_runtime is None
    for each in (connection_files, kernelspecs, sessions, records):
        assert bad(each.check(around)) == [], "it is said once"


def test_little_room(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 42_000_000))
    found = bad(check(Surroundings()))
    assert {finding.level for finding in found} == {"warning"}
    assert found[0].what == f"there are 42 MB left for the runtime directory {machine.runtime}"


def test_sockets_need_short_paths() -> None:
    assert socket_lengths(Path("/" + "x" * 52)) == []
    (found,) = socket_lengths(Path("/" + "x" * 60))
    assert found.what.endswith("only sessions with names up to 40 can be run")
    (found,) = socket_lengths(Path("/" + "x" * 90))
    assert found.level == "error"
    assert "is too long for the path of a socket" in found.what
