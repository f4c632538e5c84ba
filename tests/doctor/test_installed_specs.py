"""Kernelspecs as they are installed: whole, damaged, hidden by one another."""

from __future__ import annotations

import sys

import pytest

from proxy.doctor.installed_specs import Spec, installed
from tests.doctor.machine import Machine


def of_name(name: str) -> list[Spec]:
    return [spec for spec in installed() if spec.name == name]


def test_one_is_read(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "/base")
    directory = machine.kernelspec(
        "mine",
        ["python3", "-m", "x", "{connection_file}"],
        env={"A": "${BASE}/a"},
        metadata={"kernel_provisioner": {"provisioner_name": "far"}},
    )
    (spec,) = of_name("mine")
    assert spec.directory == str(directory)
    assert spec.argv == (sys.executable, "-m", "x", "{connection_file}")
    assert spec.program == sys.executable
    assert spec.own_environment == (("A", "/base/a"),)
    assert spec.environment["A"] == "/base/a"
    assert spec.environment["HOME"] == str(machine.home)
    assert spec.provisioner == "far"
    assert spec.shares is None


@pytest.mark.parametrize("text", ["", "[]", '{"argv": 1}', '{"metadata": 1}', "\xff"])
def test_one_that_is_damaged(machine: Machine, text: str) -> None:
    directory = machine.kernelspec("mine", ["x"])
    (directory / "kernel.json").write_bytes(text.encode("latin-1"))
    (spec,) = of_name("mine")
    assert spec.damage
    assert "\n" not in spec.damage
    assert spec.program is None


def test_one_of_kmux_does_not_hide_the_real_one(machine: Machine) -> None:
    """kmux itself passes its own kernelspecs over."""
    machine.kernelspec("python3", ["x"], metadata={"kmux": {"kernel": "python3"}})
    ours, real = sorted(of_name("python3"), key=lambda spec: spec.shares is None)
    assert ours.shares == {"kernel": "python3"}
    assert real.argv[1:3] == ("-m", "ipykernel_launcher")


def test_a_program_is_looked_for_as_the_kernel_would_be(machine: Machine) -> None:
    program = machine.program("mykernel", "")
    machine.kernelspec("a", ["mykernel"], env={"PATH": f"{machine.home}"})
    machine.kernelspec("b", ["mykernel"])
    machine.kernelspec("c", [])
    assert [of_name(name)[0].program for name in "abc"] == [program, None, None]


@pytest.mark.parametrize(
    ("argv", "python"),
    [
        (("/p", "-m", "ipykernel_launcher", "-f", "{}"), ("/p",)),
        (("/p", "-Xfrozen_modules=off", "-m", "ipykernel"), ("/p", "-Xfrozen_modules=off")),
        (
            ("conda", "run", "-n", "e", "python", "-m", "ipykernel"),
            ("conda", "run", "-n", "e", "python"),
        ),
        (("/p", "-c", "from ipykernel.kernelapp import main; main()"), ("/p",)),
        (("/p", "-m", "bash_kernel"), None),
        (("-m", "ipykernel"), None),
        (("/p", "-m"), None),
        ((), None),
    ],
)
def test_which_python_runs_it(argv: tuple[str, ...], python: tuple[str, ...] | None) -> None:
    spec = Spec(name="x", directory="", argv=argv)
    assert spec.python(("ipykernel_launcher", "ipykernel")) == python
