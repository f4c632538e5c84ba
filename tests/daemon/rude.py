"""Clients of the daemon's port that know no manners, and a session that must not notice."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.frontends.kmux_process import DEADLINE, Client, Daemon
from tests.frontends.web_client import WebApi, api_of

SESSION = "work"
COUNT = """
import pathlib, time
number = 0
while not pathlib.Path({stop!r}).exists():
    print(number, flush=True)
    number += 1
    time.sleep(0.01)
"""


def connect(api: WebApi) -> socket.socket:
    """Connect to the port, and say nothing yet."""
    place = urlsplit(api.url)
    return socket.create_connection((place.hostname or "", place.port or 0), DEADLINE)


def head(api: WebApi, method: str, path: str, *lines: str, host: str = "localhost") -> bytes:
    """Write the head of a request, with the token."""
    first = (f"{method} {path} HTTP/1.1", f"host: {host}", f"authorization: token {api.token}")
    return "\r\n".join([*first, *lines, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """Read what comes until the other side hangs up, or says nothing more for a while."""
    received = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def status_of(api: WebApi, said: bytes) -> int:
    """Say something, and nothing more. Returns the status with which it is answered, 0 for none."""
    with connect(api) as connection:
        with suppress(ConnectionError):  # it may be refused before it is said
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
        received = answer(connection)
    assert received.startswith(b"HTTP/1.1 ") or not received, received
    return int(received.split()[1]) if received else 0


@contextmanager
def undisturbed(daemon: Daemon) -> Iterator[WebApi]:
    """Have a cell count aloud all the while; its client gets each number, once and in order.

    In the end the daemon is the same one, and nothing has failed in it.
    """
    client: Client = daemon.attach(daemon.json("new", SESSION)["connection_file"])
    stop = Path(daemon.workplace.root) / "stop"
    pid = daemon.pid
    cell = client.execute(COUNT.format(stop=str(stop)))
    assert client.hear_stream(cell) == "0\n"
    yield api_of(daemon)
    stop.touch()
    assert client.finish(cell)["status"] == "ok"
    counted = [int(line) for line in client.text().split()]
    assert counted == list(range(1, len(counted) + 1))
    assert daemon.pid == pid
    log = (daemon.workplace.root / "data" / "daemon.log").read_text()
    assert not [line for line in log.splitlines() if "internal.error" in line]
