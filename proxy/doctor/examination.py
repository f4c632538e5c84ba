"""All checks, one after the other: what is found, and what is mended."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping

import msgspec

from proxy.doctor.findings import Finding, Level, error, of_error
from proxy.doctor.surroundings import Surroundings
from proxy.errors import KmuxError

CHECKS = {
    "system": "system",
    "settings": "settings_file",
    "directories": "directories",
    "daemon": "daemon_process",
    "sockets": "sockets",
    "sessions": "sessions",
    "kernels": "kernels",
    "orphans": "orphans",
    "ports": "ports",
    "connection files": "connection_files",
    "records": "records",
    "systemd": "systemd_unit",
    "kernelspecs": "kernelspecs",
}
"""By what they are called, their modules: imported one by one, so that a package that is broken
costs the checks that need it and no more. The slowest one comes last."""


class Entry(msgspec.Struct, frozen=True):
    """What is told of a finding. The field names are the keys of ``kmux doctor --json``."""

    check: str
    level: Level
    """As it was found."""
    what: str
    advice: str
    fixed: str | None
    """What was done about it, if anything was."""

    @property
    def is_bad(self) -> bool:
        """Whether something does not work, still."""
        return self.level == "error" and self.fixed is None


def examine(*, fixes: bool, checks: Mapping[str, str] = CHECKS) -> Iterator[Entry]:
    """Look at everything, and yield what is found as it is. Raises nothing.

    With ``fixes``, what is safe to do is done, before the next check looks.
    """
    surroundings = Surroundings()
    for name, module in checks.items():
        for finding in _findings(module, surroundings):
            yield _entry(name, finding, fixes=fixes)


def _findings(module: str, surroundings: Surroundings) -> list[Finding]:
    try:
        found: list[Finding] = importlib.import_module(f"proxy.doctor.{module}").check(surroundings)
    except ImportError as failure:
        again = f"{sys.executable} -m pip install --force-reinstall kmux"
        return [error(f"cannot be checked: {failure}", f"install kmux again: {again}")]
    except KmuxError as failure:
        return [of_error(failure)]
    except OSError as failure:
        return [error(f"cannot be checked: {failure}", "see to it that it can be looked at")]
    except Exception as bug:  # of one check: the others go on
        what = f"cannot be checked: {type(bug).__name__}: {bug}"
        return [error(what, "this is a bug in kmux doctor; please report it")]
    return found


def _entry(check: str, finding: Finding, *, fixes: bool) -> Entry:
    advice, fixed = finding.advice, None
    if fixes and finding.fix is not None:
        try:
            fixed = finding.fix()
        except (KmuxError, OSError) as failure:
            advice = f"{advice} (now it could not: {failure})"
    return Entry(
        check=check,
        level=finding.level,
        what=printable(finding.what),
        advice=printable(advice),
        fixed=None if fixed is None else printable(fixed),
    )


def printable(text: str) -> str:
    """Return a text that is one line, whatever a file or somebody's command line is called."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
