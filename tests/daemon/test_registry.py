"""Asking the sessions of this machine about themselves."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from proxy.daemon.registration import register
from proxy.daemon.registry import Question, SessionInfo, ask, sessions, socket_path

INFO = SessionInfo(
    name="mine",
    kernel="python3",
    language="python",
    status="idle",
    clients=2,
    pid=7,
    connection_file="kernel-mine.json",
)


async def answer(question: Question) -> SessionInfo:
    return INFO


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("KMUX_RUNTIME_DIR", str(path))
    return path


async def test_who_asks_is_told(nursery: trio.Nursery) -> None:
    registration = register("mine")
    nursery.start_soon(registration.serve, answer)
    assert await trio.to_thread.run_sync(sessions) == [INFO]
    nursery.cancel_scope.cancel()
    registration.close()


async def test_who_hangs_up_does_not_end_the_session(nursery: trio.Nursery) -> None:
    registration = register("mine")
    nursery.start_soon(registration.serve, answer)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(socket_path("mine")))
    assert await trio.to_thread.run_sync(sessions) == [INFO]
    nursery.cancel_scope.cancel()
    registration.close()


def test_a_socket_that_a_killed_kmux_left_is_removed() -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_path("left")))
    assert ask(socket_path("left")) is None
    assert not socket_path("left").exists()


def test_somebody_who_answers_nonsense_is_no_session() -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_path("other")))
        other.listen()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(socket_path("other")))
        accepted, _ = other.accept()
        connection.close()
        accepted.close()

        def answer() -> None:
            asked, _ = other.accept()
            asked.sendall(b"{}\n")
            asked.close()

        import threading

        thread = threading.Thread(target=answer)
        thread.start()
        assert ask(socket_path("other")) is None
        thread.join()
    assert socket_path("other").exists(), "it is not ours to remove"
