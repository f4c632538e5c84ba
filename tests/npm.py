"""Clients from npm, installed once for all tests that use them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.required import needs_node

BUILD = Path(__file__).parents[1] / "build"
INSTALL_SECONDS = 240


def install(sources: Path, name: str) -> Path:
    """Install the packages of a lock file once (``npm ci``); return the directory to run in.

    ``sources`` has that file and the scripts, ``name`` is what the directory is called.
    """
    needs_node()
    installed = BUILD / name
    lock = (sources / "package-lock.json").read_text()
    stamp = installed / "installed"
    if not stamp.exists() or stamp.read_text() != lock:
        installed.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(sources / file, installed / file)
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=installed,
            check=True,
            timeout=INSTALL_SECONDS,
        )
        stamp.write_text(lock)
    for script in sources.glob("*.mjs"):
        shutil.copy(script, installed / script.name)
    return installed
