"""Whether the environment of a Python kernel has what it takes."""

from __future__ import annotations

import re

from proxy.doctor.findings import Finding, error, ok, warning
from proxy.doctor.pythons import Answer

MODULES = ("ipykernel_launcher", "ipykernel")
"""What kernelspecs of ipykernel run."""
OLDEST = (6,)
TESTED = ((7, 1), (7, 4))
"""From pyproject.toml's lower bound to constraints.txt's version; a test compares them."""


def judge(name: str, command: str, answer: Answer) -> Finding:
    """Say what is missing in the environment that ``command`` runs in."""
    install = f"{command} -m pip install"
    if not answer.package:
        if "No module named" in answer.failure and "ipykernel" in answer.failure:
            return error(f"{name}: no ipykernel in its environment", f"{install} ipykernel")
        return error(
            f"{name}: ipykernel cannot be imported: {answer.failure}",
            f"{install} --force-reinstall ipykernel, or: jupyter kernelspec remove {name}",
        )
    version = _numbers(answer.package)
    if version < OLDEST:
        return error(
            f"{name}: ipykernel {answer.package} is too old to be shared",
            f"{install} --upgrade ipykernel",
        )
    first, last = TESTED
    if version < first:
        return warning(
            f"{name}: ipykernel {answer.package}; kmux is tested with {_text(first)} to "
            f"{_text(last)}",
            f"if you can: {install} --upgrade ipykernel",
        )
    if version[:1] > last[:1]:
        return warning(
            f"{name}: ipykernel {answer.package} is newer than what kmux was tested with "
            f"({_text(last)})",
            "look whether there is a newer kmux",
        )
    if not answer.has_widgets:
        return warning(
            f"{name}: no ipywidgets in its environment: cells cannot make widgets",
            f"{install} ipywidgets",
        )
    return ok(f"{name}: Python {answer.python}, ipykernel {answer.package}")


def _numbers(version: str) -> tuple[int, ...]:
    """Read the release of a version: that of "7.0.0a1" is (7, 0, 0)."""
    release = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
