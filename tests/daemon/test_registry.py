"""Asking who has which session on this machine."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
import trio

from proxy.daemon import registry
from proxy.daemon.place import socket_path as daemon_socket
from proxy.daemon.registry import names_like, runs, sessions, socket_path
from proxy.errors import ConfigError, NotFound
from tests.daemon.answering import answering, info

in_thread = trio.to_thread.run_sync


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("r")
    path.chmod(0o700)
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(path))
    return path


async def test_the_sessions_of_all_processes_are_listed_by_name() -> None:
    async with (
        answering(socket_path("mine"), "mine"),
        answering(daemon_socket(), "zoo", "analysis"),
    ):
        assert await in_thread(sessions) == [info("analysis"), info("mine"), info("zoo")]


async def test_without_any_there_are_none() -> None:
    assert await in_thread(sessions) == []


async def test_who_has_a_session_is_found() -> None:
    async with (
        answering(socket_path("mine"), "mine"),
        answering(daemon_socket(), "analysis"),
    ):
        for name in ("mine", "analysis"):
            holder = await in_thread(registry.holder, name)
            assert await in_thread(holder.session, name) == info(name)
        assert not await in_thread(runs, "nobody")
        with pytest.raises(NotFound, match="no session 'nobody' runs; kmux ps lists those that do"):
            await in_thread(registry.holder, "nobody")


def test_a_socket_that_a_killed_kmux_left_is_no_session() -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_path("left")))
    assert sessions() == []
    assert not runs("left")


def test_what_cannot_be_a_name_runs_nowhere() -> None:
    assert not runs("../daemon/control")


def test_somebody_who_answers_nonsense_is_said_to_be_of_another_version() -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_path("other")))
        other.listen()

        def answer() -> None:
            asked, _ = other.accept()
            asked.recv(10_000)
            asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            asked.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConfigError, match="another version of kmux"):
            sessions()
        thread.join()
    assert socket_path("other").exists(), "it is not ours to remove"


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "-x", "x" * 49, "grün", "a b"])
def test_what_cannot_be_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name for a session"):
        registry.check_name(name)


def test_names_that_are_like_others_can_be_names() -> None:
    for wish in ("My Notebook.v2", "...", "x" * 100, "grün/blau"):
        found = names_like(wish)
        first, second = next(found), next(found)
        registry.check_name(first)
        registry.check_name(second)
        assert second == f"{first}-2"
