"""Whether the settings can be read, and are what they may be."""

from __future__ import annotations

from proxy.doctor.findings import Finding, of_error, ok, some
from proxy.doctor.surroundings import Surroundings
from proxy.errors import ConfigError
from proxy.settings.directories import config_file
from proxy.settings.loading import in_force


def check(surroundings: Surroundings) -> list[Finding]:
    """Read the settings."""
    try:
        given = [setting for setting in in_force() if setting.origin != "default"]
    except ConfigError as failure:
        return [of_error(failure)]
    path = config_file()
    where = f"{path}" if path is not None and path.exists() else "no file"
    return [ok(f"{where}; {some(len(given), 'setting')} other than the default")]
