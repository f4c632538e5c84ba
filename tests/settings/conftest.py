"""An environment in which nothing is set, and a file for the settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings are looked for; there is no file yet."""
    for variable in [name for name in os.environ if name.startswith("KMUX_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "kmux" / "config.toml"
    path.parent.mkdir()
    return path
