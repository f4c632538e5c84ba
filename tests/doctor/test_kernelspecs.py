"""Installed kernels that can be started, and those that cannot."""

from __future__ import annotations

import sys

import pytest

from proxy import __version__
from proxy.doctor import kernelspecs
from proxy.doctor.findings import Finding
from proxy.doctor.installed_specs import Spec
from proxy.doctor.kernelspecs import check, judge_ours, question
from proxy.doctor.pythons import Answer
from proxy.doctor.surroundings import Surroundings
from tests.doctor.machine import Machine, bad

OURS = [sys.executable, "-m", "proxy", "run", "-f", "{connection_file}"]
IPYKERNEL = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """All that is found of a machine with many kernels: asking them takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("run"))
        for name, value in machine.environment.items():
            patch.setenv(name, value)
        patch.setenv("KMUX_DEFAULT_KERNEL", "nothing")
        bare = machine.program("bare", f'exec {sys.executable} -S -E "$@"')
        machine.kernelspec("gone", ["/gone/python", *IPYKERNEL])
        machine.kernelspec("bare", [bare, *IPYKERNEL])
        machine.kernelspec("slow", [machine.program("slow", "sleep 600"), *IPYKERNEL])
        machine.kernelspec("other", [machine.program("other", "")])
        machine.kernelspec("empty", [])
        machine.kernelspec("far", ["x"], metadata={"kernel_provisioner": {"provisioner_name": "p"}})
        (machine.kernelspec("damaged", ["x"]) / "kernel.json").write_text("{")
        machine.kernelspec("python3-shared", OURS, metadata={"kmux": {"kernel": "python3"}})
        machine.kernelspec("x-shared", OURS, metadata={"kmux": {"kernel": "x"}})
        machine.kernelspec("bare-shared", [bare, *OURS[1:]], metadata={"kmux": {"kernel": "bare"}})
        machine.kernelspec(
            "gone-shared", ["/gone/python", *OURS[1:]], metadata={"kmux": {"kernel": "bare"}}
        )
        machine.session("here")
        for name in ("here", "away"):
            machine.kernelspec(f"shared-{name}", OURS, metadata={"kmux": {"session": name}})
        patch.setattr(kernelspecs, "ask", lambda questions: ask(questions, 3.0))
        return check(Surroundings())


ask = kernelspecs.ask


def of_name(found: list[Finding], name: str) -> Finding:
    (finding,) = (each for each in found if each.what.startswith(f"{name}: "))
    return finding


@pytest.mark.parametrize(
    ("name", "level", "what", "advice"),
    [
        ("python3", "ok", "Python 3.", ""),
        ("other", "ok", "/other", ""),
        ("gone", "error", "its program is gone: /gone/python", "jupyter kernelspec remove gone"),
        ("bare", "error", "no ipykernel in its environment", "/bare -m pip install ipykernel"),
        ("slow", "error", "it did not answer in 3 s", "jupyter kernelspec remove slow"),
        ("empty", "error", "has no argv", "jupyter kernelspec remove empty"),
        ("far", "error", "provisioner 'p' is not installed here", "-m pip install"),
        ("damaged", "error", "cannot be read: ", "jupyter kernelspec remove damaged"),
        ("python3-shared", "ok", "shares python3", ""),
        ("x-shared", "error", "it shares 'x', which is not installed", "remove x-shared"),
        ("bare-shared", "error", "no kmux in ", "kmux kernelspec install --kernel bare"),
        ("gone-shared", "error", "its program is gone", "kmux kernelspec install --kernel bare"),
        ("shared-here", "ok", "shares here", ""),
        ("shared-away", "warning", "attaches to session 'away', which does not", "kmux new away"),
    ],
)
def test_each_is_judged(
    found: list[Finding], name: str, level: str, what: str, advice: str
) -> None:
    finding = of_name(found, name)
    assert finding.level == level
    assert what in finding.what
    assert advice in finding.advice
    assert finding.fix is None


def test_a_default_kernel_that_is_not_there(found: list[Finding]) -> None:
    assert found[-1].what == "the default kernel 'nothing' is not installed"
    assert found[-1].advice.endswith("kmux config default_kernel")


def test_ours_of_another_version() -> None:
    spec = Spec(name="p", directory="", argv=("/p", *OURS[1:]), shares={"kernel": "Python3"})
    same = judge_ours(spec, Answer(package=__version__), {"python3"}, set())
    assert same.level == "ok"
    other = judge_ours(spec, Answer(package="0.0.1"), {"python3"}, set())
    assert other.what == f"p: it runs kmux 0.0.1, and this is {__version__}"


def test_who_is_not_asked() -> None:
    """Who runs elsewhere, who is no Python's, and this Python."""
    far = Spec(name="a", directory="", argv=("/p", *IPYKERNEL), provisioner="far")
    assert question(far) is None
    assert question(Spec(name="a", directory="", argv=("/p", "x"))) is None
    assert question(Spec(name="a", directory="", argv=tuple(OURS), shares={})) is None


def test_without_settings_there_is_no_default(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernelspecs, "installed", list)
    assert [each.what for each in bad(check(Surroundings()))] == ["no kernel is installed"]
    monkeypatch.setenv("KMUX_CONFIG", str(machine.home / "gone.toml"))
    assert bad(check(Surroundings())) == [], "it is said elsewhere"
