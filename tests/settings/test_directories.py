"""Where kmux keeps its sockets and private files, its records and log, and its settings."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.settings import config_file, data_dir, log_file, runtime_dir

EACH = pytest.mark.parametrize(
    ("directory", "variable"),
    [(runtime_dir, "KMUX_RUNTIME_DIR"), (data_dir, "KMUX_DATA_DIR")],
    ids=["runtime", "data"],
)
Directory = Callable[[], Path]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("KMUX_RUNTIME_DIR", "KMUX_DATA_DIR", "KMUX_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_what_the_user_says_comes_first_then_the_system_then_a_place_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert runtime_dir() == tmp_path / "tmp" / f"kmux-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert runtime_dir() == tmp_path / "run" / "kmux"
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / "mine"))
    assert runtime_dir() == tmp_path / "mine"


def test_where_anybody_can_write_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "tmp" / f"kmux-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leads elsewhere; remove it, or set KMUX_RUNTIME_DIR"):
        runtime_dir()


def test_records_are_with_the_data_of_other_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert data_dir() == tmp_path / "home" / ".local" / "share" / "kmux"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert data_dir() == tmp_path / "data" / "kmux"
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path / "mine"))
    assert data_dir() == tmp_path / "mine"


def test_the_log_is_beside_the_records() -> None:
    assert log_file() == data_dir() / "daemon.log"


def test_settings_are_with_those_of_other_programs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert config_file() == tmp_path / "home" / ".config" / "kmux" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert config_file() == tmp_path / "config" / "kmux" / "config.toml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KMUX_CONFIG", "mine.toml")
    assert config_file() == tmp_path / "mine.toml", "the daemon has another working directory"
    assert not (tmp_path / "config").exists(), "looking makes nothing"


def test_who_has_no_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(ConfigError, match="set KMUX_DATA_DIR"):
        data_dir()
    assert config_file() is None


@EACH
def test_it_is_made_and_made_private(
    directory: Directory, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "a" / "b"))
    assert stat.S_IMODE(directory().stat().st_mode) == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    assert stat.S_IMODE(directory().stat().st_mode) == 0o700


@EACH
def test_a_file_in_its_place_is_a_config_error(
    directory: Directory, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        monkeypatch.setenv(variable, str(tmp_path / place))
        with pytest.raises(ConfigError, match=variable):
            directory()


@EACH
def test_somebody_elses_is_refused(
    directory: Directory, variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Anybody can make ``kmux-1000`` in /tmp and wait for user 1000."""
    (tmp_path / "tmp" / f"kmux-{os.getuid() + 1}").mkdir()
    (tmp_path / "home" / ".local" / "share" / "kmux").mkdir(parents=True)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(ConfigError, match=f"belongs to another user; set {variable}"):
        directory()
