"""Which process is at the other end of a connection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from proxy.endpoints.peers import belongs_to

CONNECT = """
import socket, sys
family, address = sys.argv[1], sys.argv[2]
if family == "unix":
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
else:
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
sys.stdin.read()
"""


@pytest.mark.parametrize("family", ["inet", "inet6", "unix"])
def test_a_connection_belongs_to_the_process_that_made_it(
    family: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if family == "unix":
        listener = socket.socket(socket.AF_UNIX)
        address = str(tmp_path_factory.mktemp("s") / "s")
        listener.bind(address)
        listener.listen()
    else:
        host = "127.0.0.1" if family == "inet" else "::1"
        kind = socket.AF_INET if family == "inet" else socket.AF_INET6
        listener = socket.create_server((host, 0), family=kind)
        address = f"{host}:{listener.getsockname()[1]}"
    child = subprocess.Popen(
        [sys.executable, "-c", CONNECT, family, address], stdin=subprocess.PIPE
    )
    try:
        accepted, _ = listener.accept()
        with accepted:
            assert belongs_to(accepted.fileno(), child.pid) is True
            assert belongs_to(accepted.fileno(), os.getpid()) is False
            assert accepted.fileno() > 0, "it is not ours to close"
            accepted.getsockname()
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
        listener.close()


def test_what_cannot_be_told() -> None:
    assert belongs_to(10**6, os.getpid()) is None
