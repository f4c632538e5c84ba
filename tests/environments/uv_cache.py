"""The cache of uv of whoever runs the tests: whatever home a test has, packages are there."""

from __future__ import annotations

import os
from pathlib import Path


def uv_cache() -> str:
    """Return where it is, as uv finds it."""
    if configured := os.environ.get("UV_CACHE_DIR"):
        return configured
    base = os.environ.get("XDG_CACHE_HOME")
    return str(Path(base or Path.home() / ".cache") / "uv")
