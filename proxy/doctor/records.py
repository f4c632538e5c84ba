"""How much the records take, and whether something of them was damaged and set aside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from proxy.amounts import sized
from proxy.doctor.findings import Finding, ok, some, warning
from proxy.doctor.sessions import DAMAGED
from proxy.doctor.surroundings import Surroundings

UNREAD = ".unread-"
"""In the name of a record of which nothing could be made (``record/opening.py``)."""
SHOWN = 3


def check(surroundings: Surroundings) -> list[Finding]:
    """Look through all records."""
    records = surroundings.data / "records" if surroundings.data is not None else None
    if records is None or not (records.is_dir() and os.access(records, os.R_OK | os.X_OK)):
        return [ok("none")]
    size, damaged, seen, closed = 0, [], set(), list[str]()
    for entry in files(records, closed):
        if is_set_aside(Path(entry.path).relative_to(records)):
            damaged.append(Path(entry.path))
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if (status.st_dev, status.st_ino) not in seen:  # a link takes no space
                size += status.st_size
            if status.st_nlink > 1:
                seen.add((status.st_dev, status.st_ino))
    number = sum(1 for each in records.iterdir() if each.is_dir())
    found = [ok(f"{some(number, 'record')} in {records}, {sized(size)}")]
    if damaged:
        found.append(_say(sorted(damaged)))
    if closed:
        what = f"cannot look into {', '.join(sorted(closed)[:SHOWN])}"
        found.append(warning(what, "see to it that you can: these records cannot be gone on with"))
    return found


def _say(damaged: list[Path]) -> Finding:
    names = ", ".join(map(str, damaged[:SHOWN]))
    more = f" and {len(damaged) - SHOWN} more" if len(damaged) > SHOWN else ""
    return warning(
        f"{some(len(damaged), 'file')} of records damaged, and set aside: {names}{more}",
        "the records went on with what was whole; when you miss nothing, remove these",
    )


def files(directory: str | Path, closed: list[str]) -> Iterator[os.DirEntry[str]]:
    """Yield all files below a directory. What cannot be looked into is put into ``closed``."""
    try:
        with os.scandir(directory) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    except OSError:
        closed.append(str(directory))
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from files(entry.path, closed)
        else:
            yield entry


def is_set_aside(path: Path) -> bool:
    """Whether a file, or a directory that it is in, was."""
    return any(DAMAGED in part or UNREAD in part for part in path.parts)
