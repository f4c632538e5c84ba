"""``kmux config``, as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Workplace


@pytest.fixture
def file(workplace: Workplace) -> Path:
    """The file of the user's settings, with one in it."""
    path = workplace.root / ".config" / "kmux" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("# for the course\nkeep_days = 30\n")
    return path


def test_a_table_for_people_and_json_for_scripts(workplace: Workplace, file: Path) -> None:
    table = workplace.kmux("config", KMUX_RECORD="false").stdout.splitlines()
    assert table[0].split("\t") == ["NAME", "VALUE", "ORIGIN", "DESCRIPTION"]
    rows = {row[0]: row[1:3] for row in (line.split("\t") for line in table[1:])}
    assert rows["keep_days"] == ["30", str(file)]
    assert rows["record"] == ["false", "KMUX_RECORD"]
    assert rows["restart"] == ["allow", "default"]
    listed = json.loads(workplace.kmux("config", "--json").stdout)
    assert [setting["name"] for setting in listed] == list(rows)
    assert next(setting for setting in listed if setting["name"] == "keep_days") == {
        "name": "keep_days",
        "value": 30.0,
        "origin": str(file),
        "default": 0.0,
        "variable": "KMUX_KEEP_DAYS",
        "description": "How long a session's record keeps a cell; 0: for ever.",
    }


def test_one_value(workplace: Workplace, file: Path) -> None:
    assert workplace.kmux("config", "keep_days").stdout == "30\n"
    assert json.loads(workplace.kmux("config", "keep_days", "--json").stdout)["value"] == 30
    unknown = workplace.kmux("config", "keep_day")
    assert unknown.returncode == 2
    assert unknown.stderr == "kmux: there is no setting 'keep_day'; did you mean keep_days?\n"


def test_a_file_that_is_wrong_does_not_hide_where_it_is_and_what_may_be_in_it(
    workplace: Workplace, file: Path
) -> None:
    file.write_text("keep_day = 30\n")
    result = workplace.kmux("config")
    assert result.returncode == 2
    assert result.stderr == (
        f"kmux: {file}, line 1: there is no setting 'keep_day'; did you mean keep_days?\n"
    )
    assert workplace.kmux("config", "--path").stdout == f"{file}\n"
    assert "keep_days" in workplace.kmux("config", "--help").stdout


def test_the_level_of_the_log_is_the_users_who_says_so_only(workplace: Workplace) -> None:
    del workplace.environment["KMUX_LOG_LEVEL"]
    listed = workplace.kmux("config", "log_level", "--json").stdout
    assert json.loads(listed)["origin"] == "default", "kmux's own default is not the daemon's"
    assert workplace.kmux("--log-level", "debug", "config", "log_level").stdout == "debug\n"


@pytest.mark.timeout(120)
def test_what_is_set_is_what_run_does(workplace: Workplace, file: Path) -> None:
    file.write_text('default_kernel = "deno"\nrecord = false\n')
    with workplace.run("--record") as kmux:
        assert kmux.client().run("1 + 1")["status"] == "ok"
        assert (kmux.ps()["name"], kmux.ps()["kernel"]) == ("deno", "deno")
        assert kmux.ps()["document"] is not None, "the option comes first"
    file.write_text('restart = "never"\n')
    result = workplace.kmux("run")
    assert result.returncode == 2
    assert result.stderr.endswith("line 1: restart must be allow, owner or refuse, not 'never'\n")
