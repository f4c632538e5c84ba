"""Names of sessions on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.daemon.registration import NameTaken, check_name, register, register_as
from proxy.daemon.registry import socket_path
from proxy.errors import ConfigError


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(path))
    return path


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "-x", "a b", "ä", "x" * 49])
def test_names_that_cannot_be_files(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name for a session"):
        check_name(name)


def test_a_wish_is_made_a_name_and_numbered_where_it_is_taken() -> None:
    taken = [register_as("my notebook (1)") for _ in range(3)]
    assert [each.name for each in taken] == [
        "my-notebook--1",
        "my-notebook--1-2",
        "my-notebook--1-3",
    ]
    for each in taken:
        each.close()
        assert not socket_path(each.name).exists()


def test_a_name_is_taken_once() -> None:
    first = register("mine")
    with pytest.raises(NameTaken):
        register("mine")
    first.close()
    register("mine").close()


def test_the_socket_is_private() -> None:
    registration = register("mine")
    assert socket_path("mine").stat().st_mode & 0o777 == 0o600
    registration.close()


def test_a_path_that_is_too_long_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(tmp_path / ("x" * 100)))
    with pytest.raises(ConfigError, match="set KMUX_RUNTIME_DIR to a shorter path"):
        register("mine")
