"""Notebooks and environments, made for tests of what is done with them."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import trio

from proxy.environments.store import Environment, Manifest, Store, Use

DAY = 86400


def write_notebook(path: Path, code: str = "", **metadata: Any) -> Path:
    """Write a notebook of one cell."""
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": code,
        "outputs": [],
        "execution_count": None,
    }
    tree = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(tree))
    return path


def make_environment(
    cache: Path,
    key: str,
    *,
    size: int = 0,
    unused_days: float = 0,
    notebooks: tuple[str, ...] = (),
    shared: int = 0,
) -> Environment:
    """Make what looks like an environment of this many bytes, where kmux has them.

    ``shared`` of them are in a file that another directory has too.
    """
    at = time.time() - unused_days * DAY

    async def make(directory: Path, prefix: Path) -> Manifest:
        (directory / "bin").mkdir(parents=True)
        (directory / "bin" / "python").symlink_to(sys.executable)
        (directory / "pyvenv.cfg").write_text("version_info = 3.12.4\n")
        (directory / "content").write_bytes(b"x" * (size - shared))
        if shared:
            (cache / f"of uv {key}").write_bytes(b"x" * shared)
            os.link(cache / f"of uv {key}", directory / "shared")
        return Manifest(
            manager="uv",
            asked=("six",),
            packages=("ipykernel==7.1.0", "six==1.17.0"),
            python="bin/python",
            created=at - DAY,
        )

    made = trio.run(Store(cache / "environments").made, key, make)
    use = Use(at=at, notebooks=notebooks)
    (made.prefix / "kmux-used.json").write_bytes(msgspec.json.encode(use))
    return made
