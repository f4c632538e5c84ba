"""Which settings are in force, who said so, and what is wrong with a file, in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.settings import Settings, load
from proxy.settings.loading import find, in_force


def origins(**given: object) -> dict[str, str]:
    return {setting.name: setting.origin for setting in in_force(given)}


def test_nothing_is_set(file: Path) -> None:
    assert load() == Settings()
    assert set(origins().values()) == {"default"}


def test_the_command_line_comes_before_the_environment_the_file_and_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('restart = "owner"\nprompts = "anyone"\nkeep_days = 30\n')
    monkeypatch.setenv("KMUX_RESTART", "refuse")
    monkeypatch.setenv("KMUX_KEEP_DAYS", "")
    settings = load(restart="allow", prompts=None)
    assert (settings.restart, settings.prompts) == ("allow", "anyone")
    assert settings.keep_days == 30, "an empty variable says nothing"
    assert load().restart == "refuse"
    assert origins() == {
        **dict.fromkeys(origins(), "default"),
        "restart": "KMUX_RESTART",
        "prompts": str(file),
        "keep_days": str(file),
    }
    assert find("restart").value == "refuse"
    assert origins(restart="allow")["restart"] == "option"


def test_the_environment_has_texts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KMUX_RECORD": "False",
        "KMUX_DAEMON_EXECUTION": "0",
        "KMUX_AWAY_HOURS": "1.5",
        "KMUX_LOG_FILES": "7",
        "KMUX_DEFAULT_KERNEL": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load()
    assert settings.record is False
    assert settings.daemon_execution is False
    assert settings.away_hours == 1.5
    assert settings.log_files == 7
    assert settings.default_kernel == "1"


def test_a_file_that_is_named_in_the_environment(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("log_files = 7")
    (tmp_path / "other.toml").write_text("log_files = 8")
    monkeypatch.setenv("KMUX_CONFIG", str(tmp_path / "other.toml"))
    assert load().log_files == 8
    monkeypatch.setenv("KMUX_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(ConfigError, match=r"there is no .*missing.toml; write it, or unset KMUX_"):
        load()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            '# mine\n\nrestart = "never"',
            ", line 3: restart must be allow, owner or refuse, not 'nev",
        ),
        ("record = 1", ", line 1: record must be true or false, not 1"),
        ("log_files = true", ", line 1: log_files must be a whole number from 1 to 100, not true"),
        ("log_files = 0", ", line 1: log_files must be a whole number from 1 to 100, not 0"),
        ("away_hours = inf", ", line 1: away_hours must be a number from 0 to 1000000, not inf"),
        ("away_hours = nan", "must be a number"),
        ('default_kernel = ""', "default_kernel must be a text, not ''"),
        ("[restart]\nx = 1", ", line 1: restart must be allow, owner or refuse, not {'x': 1}"),
        (
            "record = true\nkeep_day = 3",
            ", line 2: there is no setting 'keep_day'; did you mean kee",
        ),
        ("idle = 3", "there is no setting 'idle'; did you mean idle_timeout_hours?"),
        ("restarts.x = 3", "toml: there is no setting 'restarts'; did you mean restart?"),
        ("xyzzy = 3", "there is no setting 'xyzzy'; kmux config --help lists them"),
        ("record = true\nrestart = owner", "is not TOML: Invalid value (at line 2, column 11); a "),
    ],
)
def test_a_file_that_is_wrong(file: Path, written: str, said: str) -> None:
    file.write_text(written)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        load()
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(file: Path) -> None:
    file.write_bytes(b"restart = '\xff'")
    with pytest.raises(ConfigError, match=r"is not TOML: .*; write it in UTF-8"):
        load()
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory; make it readable, or"):
        load()


def test_a_variable_that_is_wrong(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMUX_KEEP_DAYS", "soon")
    with pytest.raises(ConfigError, match=r"^KMUX_KEEP_DAYS must be a number .*, not 'soon'$"):
        load()


def test_an_option_that_is_wrong(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"^restart must be allow, owner or refuse, not 'x'$"):
        load(restart="x")


def test_a_setting_that_there_is_not(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"no setting 'restrat'; did you mean restart\?"):
        find("restrat")


def test_a_user_without_a_home_has_the_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert load() == Settings()


def test_settings_are_had_for_little(file: Path) -> None:
    """Every command has them: without a file, no parser of it is imported."""
    script = "import sys, proxy.settings as s; s.load(); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not {"tomllib", "difflib", "tempfile", "click"} & set(result.stdout.split())
