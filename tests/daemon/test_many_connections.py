"""More connections to the daemon's port than it takes, and what becomes of everything else."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from proxy.daemon.web import MAX_CONNECTIONS
from tests.daemon.rude import SESSION, connect, head, status_of, undisturbed
from tests.frontends.kmux_process import Daemon, until
from tests.frontends.web_client import WebApi

pytestmark = pytest.mark.timeout(120)

MEGABYTE = 1024 * 1024


@pytest.fixture
def open_files() -> Iterator[None]:
    """As many as this process needs for its end of the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * MAX_CONNECTIONS:
        pytest.skip(f"this system lets a process have {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MAX_CONNECTIONS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def answered(api: WebApi, connection: socket.socket) -> int:
    """Ask on a connection, which is kept. Returns the status."""
    connection.sendall(head(api, "GET", "/api"))
    received = b""
    while b"\r\n\r\n{" not in received:
        received += connection.recv(65536)
    return int(received.split()[1])


@pytest.mark.usefixtures("open_files")
def test_as_many_as_there_may_be_and_one_more(daemon: Daemon) -> None:
    with undisturbed(daemon) as api, ExitStack() as stack:
        process = psutil.Process(daemon.pid)
        before, files = process.memory_info().rss, process.num_fds()
        many = [stack.enter_context(connect(api)) for _ in range(MAX_CONNECTIONS)]
        for each in many:
            assert answered(api, each) == 200
        assert status_of(api, head(api, "GET", "/api")) == 503
        assert status_of(api, b"") == 503, "whatever it is about to ask for"
        assert process.memory_info().rss - before < 60 * MEGABYTE
        asked = time.monotonic()
        assert [each["name"] for each in daemon.json("ps")] == [SESSION], "by the Unix socket"
        assert time.monotonic() - asked < 5
        assert answered(api, many[0]) == 200, "who is there is served"
        stack.close()
        until(lambda: process.num_fds() <= files + 5, "all of them are closed")
        until(
            lambda: process.memory_info().rss - before < 30 * MEGABYTE,
            "the memory is given back",
        )
        assert status_of(api, head(api, "GET", "/api")) == 200


def test_many_websockets_of_one_session_come_and_go(daemon: Daemon) -> None:
    """Each is a client; those without a name leave nothing behind."""
    with undisturbed(daemon) as api:
        (own,) = api.get("api/kernels")
        process = psutil.Process(daemon.pid)
        files = process.num_fds()
        for _ in range(3):
            sockets = [api.connect(own["id"]) for _ in range(50)]
            for each in sockets:
                assert each.reply(each.send("kernel_info_request", {}))["status"] == "ok"
            for each in sockets:
                each.connection.shutdown()  # without a goodbye
            until(lambda: process.num_fds() <= files + 5, "all of them are closed")
        assert [each["kind"] for each in daemon.json("clients", SESSION)] == ["shared"]
