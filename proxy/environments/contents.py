"""Whether somebody installed something into an environment."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("lib/python*/site-packages", "bin", "conda-meta")
_SUFFIX_OF_METADATA = (".dist-info", ".egg-info")
_CACHE = "__pycache__"


def contents_of(prefix: Path) -> str:
    """Return a name for what is installed: another one when pip, uv or conda change something.

    It is made of what they leave at the top of where packages are: each has metadata of its own,
    which is replaced also where the same version is installed again, and a conda package has a file
    in ``conda-meta``. Only names and times are looked at: a thousandth of a second. What an import
    leaves (bytecode, and so the times of the packages' directories) is no change; what is edited
    within a package's directory is not seen.
    """
    found = hashlib.sha256()
    for pattern in _PLACES:
        for directory in sorted(prefix.glob(pattern)):
            entries: list[str] = []
            with contextlib.suppress(OSError):  # it is removed meanwhile
                entries = sorted(_entries(directory))
            for line in entries:
                found.update(f"{directory.name}/{line}\n".encode(errors="surrogateescape"))
    return found.hexdigest()[:24]


def _entries(directory: Path) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name == _CACHE:
                continue
            is_package = entry.is_dir() and not entry.name.endswith(_SUFFIX_OF_METADATA)
            time = 0 if is_package else entry.stat(follow_symlinks=False).st_mtime_ns
            yield f"{entry.name} {time}"
