"""Whether the systemd user unit, where there is one, starts a kmux that is there."""

from __future__ import annotations

import shlex
import shutil
import sys

from proxy.daemon.systemd import unit_file
from proxy.doctor.findings import Finding, error, ok
from proxy.doctor.pythons import Question, ask
from proxy.doctor.surroundings import Surroundings
from proxy.errors import ConfigError

_PREFIXES = "@-:+!|"
"""What may stand ahead of a command (systemd.service, "Command lines")."""
REMEDY = "kmux daemon install writes it anew; kmux daemon uninstall removes it"


def check(surroundings: Surroundings) -> list[Finding]:
    """Read the unit, and ask its Python."""
    try:
        path = unit_file()
        text = path.read_text()
    except (ConfigError, FileNotFoundError):
        return [ok("no unit; commands start the daemon when they need it")]
    except (OSError, UnicodeDecodeError) as failure:
        return [error(f"{path} cannot be read: {failure}", REMEDY)]
    command = program(text)
    if command is None:
        return [error(f"{path} starts nothing", REMEDY)]
    if shutil.which(command) is None:
        return [error(f"{path} starts {command}, which is gone", REMEDY)]
    if command != sys.executable and "-m proxy" in text:
        question = Question((command,), "kmux")
        if not (answer := ask([question])[question]).package:
            return [error(f"{path} starts {command}, which has no kmux: {answer.failure}", REMEDY)]
    return [ok(f"{path}")]


def program(unit: str) -> str | None:
    """Return the program that a unit starts."""
    for line in unit.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "ExecStart" and value.strip():
            try:
                words = shlex.split(value.strip().lstrip(_PREFIXES))
            except ValueError:  # a quote that is not closed
                words = value.split()
            return words[0].replace("%%", "%") if words else None
    return None
