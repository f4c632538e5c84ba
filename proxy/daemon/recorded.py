"""What is recorded of a session by now, whether it runs or not, for the commands that show it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.daemon import registry
from proxy.errors import ConfigError, DaemonGone, DaemonSilent, NotFound
from proxy.record.loading import WholeRecord, load
from proxy.record.opening import BEFORE, record_directory

LOOK_SECONDS = 0.1
ALIVE_SECONDS = 1.0
"""How often it is asked whether the session still runs."""
SHARE = 0.1
"""How much of the time may be spent on reading."""


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
    durable = True
    with contextlib.suppress(NotFound, DaemonGone):  # or it is over by now
        holder = registry.holder(name)
        if holder.session(name).document is None:
            raise ConfigError(f"{name} is not recorded: it was started so, or its disk is full")
        durable = holder.flush(name)
    whole = load(directory)
    return whole if durable else dataclasses.replace(whole, is_behind=True)


def changes(name: str, whole: WholeRecord) -> Iterator[WholeRecord]:
    """Read a record whenever it has changed, until the session is over; without what was read.

    It lags by a tenth of a second or so, and by more where reading takes long.
    """
    directory = directory_of(name)
    known = {page.large.sha256 for page in whole.pages}
    stamp: object = None
    asked_at, pause = 0.0, LOOK_SECONDS
    runs = True
    while runs:
        if time.monotonic() - asked_at >= ALIVE_SECONDS:
            runs, asked_at = _runs(name), time.monotonic()
        now = _stamp(directory)
        if now != stamp:
            begun = time.monotonic()
            try:
                whole = load(directory, known)
            except ConfigError:  # another one takes its place
                pass
            else:
                stamp = now
                known |= {page.large.sha256 for page in whole.pages}
                yield whole
            pause = max(LOOK_SECONDS, (time.monotonic() - begun) / SHARE)
        if runs:
            time.sleep(pause)


def kernelspec_of(whole: WholeRecord) -> dict[str, Any]:
    """Say for a notebook which kernel it was, as far as its kernelspec is still installed."""
    from proxy.kernels import specs

    name = whole.record.kernel_name
    try:
        spec = specs.find(name)
    except ConfigError:
        language = whole.record.language
        return {"display_name": name, "name": name} | ({"language": language} if language else {})
    return {"display_name": spec.display_name, "language": spec.language, "name": name}


def names() -> list[str]:
    """Return the names of the sessions that are recorded, for the shell to complete."""
    records = record_directory("any").parent
    return sorted(entry.name for entry in os.scandir(records)) if records.is_dir() else []


def _runs(name: str) -> bool:
    """Whether a session runs: one that is just too busy to answer does."""
    try:
        return registry.runs(name)
    except DaemonSilent:
        return True


def _stamp(directory: Path) -> object:
    """Return what is another one when something was written."""
    try:
        with os.scandir(directory) as entries:
            found = [e for e in entries if e.name.endswith((".log", ".automerge"))]
            return sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in found)
    except FileNotFoundError:
        return None
