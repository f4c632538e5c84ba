"""What is recorded of a session by now, whether it runs or not, for the commands that show it."""

from __future__ import annotations

from pathlib import Path

from proxy.daemon import registry
from proxy.errors import ConfigError
from proxy.record.loading import WholeRecord, load
from proxy.record.opening import BEFORE, record_directory


def directory_of(name: str) -> Path:
    """Return where a session's record is, or the one before (``NAME~1``).

    Raises :class:`ConfigError` for what can be no name.
    """
    if not registry.is_name(name.removesuffix(BEFORE)):
        raise ConfigError(f"there is no session {name!r}; kmux ps lists what runs")
    return record_directory(name)


def present(name: str) -> WholeRecord:
    """Read a session's record. One that runs writes down all that it knows first.

    Raises :class:`ConfigError` where there is none, and :class:`StoreError`.
    """
    directory = directory_of(name)
    info = None if name.endswith(BEFORE) else registry.ask(registry.socket_path(name))
    if info is not None:
        if info.document is None:
            raise ConfigError(
                f"{name} is not recorded: it was started with --no-record, or could "
                "not write its record"
            )
        registry.flush(name)
    return load(directory)
