"""All checks together: what goes wrong in one is told, and the others go on."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from proxy.doctor.examination import CHECKS, Entry, examine, printable
from proxy.doctor.findings import Finding, error, of_error, ok, some, warning
from proxy.doctor.surroundings import Surroundings
from proxy.errors import ConfigError, StoreError


def put(patch: pytest.MonkeyPatch, name: str, *found: Finding | Exception) -> None:
    """A check that finds this, or fails."""
    module = ModuleType(f"proxy.doctor.{name}")

    def check(surroundings: Surroundings) -> list[Finding]:
        for each in found:
            if isinstance(each, Exception):
                raise each
        return list(found)  # type: ignore[arg-type]

    module.check = check  # type: ignore[attr-defined]
    patch.setitem(sys.modules, module.__name__, module)


def entries(*names: str, fixes: bool = False) -> list[Entry]:
    return list(examine(fixes=fixes, checks={name: name for name in names}))


def test_every_check_is_a_module_of_its_own() -> None:
    assert len(set(CHECKS.values())) == len(CHECKS)
    for module in CHECKS.values():
        assert callable(__import__(f"proxy.doctor.{module}", fromlist=["check"]).check)


def test_findings_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, "a", ok("well"), warning("hm", "do this"))
    put(monkeypatch, "b", error("bad", "do that"))
    found = entries("a", "b")
    assert [(e.check, e.level, e.what, e.advice, e.fixed) for e in found] == [
        ("a", "ok", "well", "", None),
        ("a", "warning", "hm", "do this", None),
        ("b", "error", "bad", "do that", None),
    ]
    assert [e.is_bad for e in found] == [False, False, True]


@pytest.mark.parametrize(
    ("failure", "what", "advice"),
    [
        (ConfigError("no home; set HOME"), "no home", "set HOME"),
        (StoreError("it is lost"), "it is lost", "kmux daemon logs"),
        (OSError(5, "Input/output error"), "cannot be checked: [Errno 5] Input", "see to it"),
        (ZeroDivisionError("oh"), "cannot be checked: ZeroDivisionError: oh", "please report"),
        (ImportError("No module named 'zmq'"), "cannot be checked: No module", "install kmux"),
    ],
)
def test_a_check_that_fails_is_one_finding(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, what: str, advice: str
) -> None:
    put(monkeypatch, "a", failure)
    put(monkeypatch, "b", ok("well"))
    broken, well = entries("a", "b")
    assert broken.level == "error"
    assert broken.what.startswith(what)
    assert advice in broken.advice
    assert well.what == "well"


def test_what_is_safe_is_done_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def fix() -> str:
        done.append(1)
        return "did it"

    def cannot() -> str:
        raise PermissionError(13, "Permission denied")

    put(monkeypatch, "a", error("bad", "do this", fix), error("worse", "do that", cannot))
    assert [entry.fixed for entry in entries("a")] == [None, None]
    assert done == []
    mended, left = entries("a", fixes=True)
    assert (mended.fixed, mended.level, mended.is_bad) == ("did it", "error", False)
    assert done == [1]
    assert (left.fixed, left.is_bad) == (None, True)
    assert left.advice == "do that (now it could not: [Errno 13] Permission denied)"


def test_whatever_things_are_called_it_is_one_line() -> None:
    assert printable("grün ✓") == "grün ✓"
    assert printable("a\nb\x1b[31mc\udcff") == "a\\nb\\x1b[31mc\\udcff"


def test_words() -> None:
    assert [some(n, "session") for n in (0, 1, 2)] == ["0 sessions", "1 session", "2 sessions"]
    assert of_error(ConfigError("a; b; c")) == error("a; b", "c")
    assert of_error(ConfigError("a"), "do this") == error("a", "do this")
