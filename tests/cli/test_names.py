"""What the shell is offered where a command wants the name of a session."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete

from proxy.cli.names import SessionName
from proxy.errors import ConfigError


def offered(names: SessionName, incomplete: str) -> list[str]:
    @click.command
    @click.argument("name", type=names)
    def command(name: str) -> None:
        """Want a name."""

    complete = ShellComplete(command, {}, "command", "_COMMAND_COMPLETE")
    return [item.value for item in complete.get_completions([], incomplete)]


def test_names_that_begin_so() -> None:
    names = SessionName(lambda: ["analysis", "antwerp", "bruges"])
    assert offered(names, "") == ["analysis", "antwerp", "bruges"]
    assert offered(names, "an") == ["analysis", "antwerp"]
    assert offered(names, "x") == []


def test_who_presses_tab_sees_no_error() -> None:
    def broken() -> list[str]:
        raise ConfigError("cannot use the runtime directory")

    assert offered(SessionName(broken), "") == []


def test_those_that_run(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path))
    assert offered(SessionName(), "") == []
