"""What the gate installs and a newcomer may not have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from jupyter_core.paths import SYSTEM_JUPYTER_PATH

KERNELS = {"ir": "r-cran-irkernel"}
"""Kernels that pip does not install, and Debian's package of each; its kernelspec is in it."""


def lacks(what: str, package: str) -> NoReturn:
    """Skip a test that needs more than pip installs. In the gate (CI=true) it must be there."""
    reason = f"{what}; on Debian: sudo apt-get install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def needs_kernel(name: str) -> None:
    """Skip a test whose kernel is not installed on this machine."""
    directories = [Path(path) / "kernels" / name for path in SYSTEM_JUPYTER_PATH]
    if name in KERNELS and not any(directory.is_dir() for directory in directories):
        lacks(f"there is no kernel '{name}'", KERNELS[name])


def needs_node() -> None:
    """Skip a test with a client from npm where there is no Node."""
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            lacks(f"there is no {command}", "nodejs npm")


def needs_chromium() -> str:
    """Return Debian's Chromium; skip a test with a browser where there is none."""
    found = shutil.which("chromium")
    if found is None:
        lacks("there is no chromium", "chromium")
    return found
