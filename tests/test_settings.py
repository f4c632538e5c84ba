"""Where kmux keeps its sockets and private files."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.settings import runtime_dir


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KMUX_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()


def test_what_the_user_says_comes_first_then_the_system_then_a_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert runtime_dir() == tmp_path / "tmp" / f"kmux-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert runtime_dir() == tmp_path / "run" / "kmux"
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / "mine"))
    assert runtime_dir() == tmp_path / "mine"


def test_it_is_made_and_made_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / "a" / "b"))
    assert stat.S_IMODE(runtime_dir().stat().st_mode) == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    assert stat.S_IMODE(runtime_dir().stat().st_mode) == 0o700


def test_a_file_in_its_place_is_a_config_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / place))
        with pytest.raises(ConfigError, match="KMUX_RUNTIME_DIR"):
            runtime_dir()


def test_somebody_elses_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Anybody can make ``kmux-1000`` in /tmp and wait for user 1000."""
    (tmp_path / "tmp" / f"kmux-{os.getuid() + 1}").mkdir()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        runtime_dir()
