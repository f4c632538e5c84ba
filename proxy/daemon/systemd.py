"""The daemon as a systemd user unit: the file, and where it belongs.

Kernels outlive the daemon, so it alone is ended (``KillMode=process``), and a kernel that has used
up all memory does not take it along (``OOMPolicy=continue``).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy.errors import ConfigError

NAME = "kmux.service"

PASSED_ON = re.compile(
    "KMUX_(RUNTIME_DIR|DATA_DIR|CONFIG)|JUPYTER_.*|XDG_CONFIG_HOME|XDG_DATA_HOME"
)
"""Variables that say where things are: systemd does not know those of a shell."""

_UNIT = """\
[Unit]
Description=kmux: kernels that outlive their frontends

[Service]
{environment}# One that was started by a command makes way. Its kernels go on.
ExecStartPre=-{kmux} daemon stop
ExecStart={kmux} daemon serve
KillMode=process
OOMPolicy=continue
Restart=on-failure

[Install]
WantedBy=default.target
"""


def unit_file() -> Path:
    """Return where the unit belongs. Raises :class:`ConfigError` for a user without a home."""
    configured = os.environ.get("XDG_CONFIG_HOME")
    try:
        config = Path(configured) if configured else Path.home() / ".config"
    except RuntimeError:
        raise ConfigError("this user has no home directory; set XDG_CONFIG_HOME") from None
    return config / "systemd" / "user" / NAME


def unit(environment: Mapping[str, str]) -> str:
    """Return the unit of this interpreter's kmux, with what this environment says of places."""
    kmux = f"{_quoted(sys.executable)} -m proxy"
    passed_on = [
        f"Environment={_quoted(f'{name}={value}')}\n"
        for name, value in sorted(environment.items())
        if PASSED_ON.fullmatch(name)
    ]
    return _UNIT.format(kmux=kmux, environment="".join(passed_on))


def _quoted(word: str) -> str:
    """Write a word so that systemd reads it as it is (systemd.syntax, "Quoting")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
