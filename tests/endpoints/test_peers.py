"""Which process is at the other end of a connection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.endpoints.peers import Peer, belongs_to, peer_of

Address = tuple[socket.AddressFamily, str]

CONNECT = """
import socket, sys
peer = socket.socket(getattr(socket, sys.argv[1]))
peer.connect(sys.argv[3] if sys.argv[1] == "AF_UNIX" else (sys.argv[2], int(sys.argv[3])))
sys.stdin.read()
"""
"""Connects, and stays until its input ends."""

ASK = """
import os, socket
from proxy.endpoints.peers import Peer, belongs_to, peer_of
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
print(belongs_to(connection.fileno(), os.getppid()), belongs_to(connection.fileno(), os.getpid()))
"""
"""Listens, as kmux does, and asks whether it is its parent that came."""


def listen(family: socket.AddressFamily, place: Path) -> socket.socket:
    address = {
        socket.AF_INET: ("127.0.0.1", 0),
        socket.AF_INET6: ("::1", 0),
        socket.AF_UNIX: str(place),
    }[family]
    listener = socket.socket(family)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        pytest.skip(f"this machine has no {family.name}")
    listener.listen()
    return listener


@contextmanager
def child_connected_to(listener: socket.socket) -> Iterator[tuple[int, socket.socket]]:
    """Another process connects. Gives its pid and our end."""
    address = listener.getsockname()
    where = ["", address] if isinstance(address, str) else [address[0], str(address[1])]
    command = [sys.executable, "-c", CONNECT, listener.family.name, *where]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            yield child.pid, connection
        assert child.stdin is not None
        child.stdin.close()


FAMILIES = [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_connection_belongs_to_the_process_that_made_it(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    with (
        listen(family, tmp_path / "s") as listener,
        child_connected_to(listener) as (child, connection),
    ):
        assert belongs_to(connection.fileno(), child) is True
        assert belongs_to(connection.fileno(), os.getpid()) is False
        assert belongs_to(connection.fileno(), os.getppid()) is False
        connection.sendall(b"it is still open")


def test_to_this_process_where_it_talks_to_itself() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert belongs_to(connection.fileno(), os.getpid()) is True


def test_a_process_knows_its_parent() -> None:
    """kmux as a kernel: the frontend that started it connects to it."""
    with subprocess.Popen([sys.executable, "-c", ASK], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        with socket.create_connection(("127.0.0.1", int(child.stdout.readline()))):
            assert child.stdout.readline().split() == ["True", "False"]


def test_what_cannot_be_told_is_none() -> None:
    with open(os.devnull) as not_a_socket, socket.socket() as unconnected:
        assert belongs_to(not_a_socket.fileno(), os.getpid()) is None
        assert belongs_to(unconnected.fileno(), os.getpid()) is None
    assert belongs_to(10**6, os.getpid()) is None, "nothing has this descriptor"


def test_a_process_that_has_ended_cannot_be_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with child_connected_to(listener) as (child, connection):
            duplicate = connection.dup()
        with duplicate:
            assert not belongs_to(duplicate.fileno(), child)


def test_a_unix_socket_tells_whose_process_it_is(private: Path) -> None:
    listener = listen(socket.AF_UNIX, private / "s")
    with listener, child_connected_to(listener) as (pid, connection), connection:
        assert peer_of(connection) == Peer(pid, os.getuid(), os.getgid())
        assert peer_of(connection).may_come_in


def test_the_users_own_processes_may_come_in_and_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uid of a peer is the system's word; a test can only make it up, unless it runs as root
    (test_unix_front)."""
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert [Peer(1, uid, 1000).may_come_in for uid in (1000, 0, 1001, 65534, 2**32 - 2)] == [
        True,
        True,
        False,
        False,
        False,
    ]
