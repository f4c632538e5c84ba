"""Ports that are kept for a kernel."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from proxy.kernels import ports as module
from proxy.kernels.ports import ReservedPorts, connection_ports, kept_free
from proxy.wire.connection import ConnectionInfo

HOST = "127.0.0.1"
BIND = "import sys, zmq; zmq.Context().socket(zmq.ROUTER).bind(sys.argv[1])"


@pytest.fixture
def ports() -> Iterator[ReservedPorts]:
    ports = ReservedPorts(HOST)
    yield ports
    ports.close()


def any_port() -> int:
    with socket.socket() as other:
        other.bind((HOST, 0))
        return int(other.getsockname()[1])


def test_there_is_one_for_each_channel_by_its_name_in_a_connection_file(
    ports: ReservedPorts,
) -> None:
    assert set(ports.by_name) == {
        "shell_port",
        "control_port",
        "stdin_port",
        "iopub_port",
        "hb_port",
    }
    assert len(set(ports.by_name.values())) == 5


def test_nobody_else_can_bind_one(ports: ReservedPorts) -> None:
    for port in ports.by_name.values():
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((HOST, port))


def test_a_connection_does_not_get_one(ports: ReservedPorts) -> None:
    """Not even one that asks for it; one that asks for any port least of all."""
    with socket.create_server((HOST, 0)) as server:
        for port in ports.by_name.values():
            with pytest.raises(OSError, match="in use"):
                socket.create_connection(server.getsockname(), source_address=(HOST, port))


def test_the_kernel_can_bind_it(ports: ReservedPorts) -> None:
    for port in ports.by_name.values():
        url = f"tcp://{HOST}:{port}"
        subprocess.run([sys.executable, "-c", BIND, url], check=True, timeout=20)
        with zmq.Context() as context, context.socket(zmq.ROUTER) as raw:
            raw.bind(url)
            with socket.create_connection((HOST, port)):
                pass


def test_closed_they_are_given_back() -> None:
    # That they can be bound is no test: who had one before may have left it in TIME_WAIT.
    before = sorted(Path("/proc/self/fd").iterdir())
    ports = ReservedPorts(HOST)
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before) + 5
    ports.close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_they_are_not_of_those_that_a_frontend_has_chosen_and_closed(ports: ReservedPorts) -> None:
    """jupyter_client binds "any port", closes it, and writes it down for kmux."""
    candidates = connection_ports()
    assert all(port in candidates for port in ports.by_name.values())
    assert not any(any_port() in candidates for _ in range(200))


def test_without_the_range_of_the_system_there_is_a_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "PORT_RANGE", tmp_path / "missing")
    assert connection_ports() == range(32768, 61000, 2)


def test_where_no_port_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "range").write_text(f"{port}\t{port}\n")
        monkeypatch.setattr(module, "PORT_RANGE", tmp_path / "range")
        with pytest.raises(OSError, match="no free port"):
            ReservedPorts(HOST)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        ReservedPorts("203.0.113.1")


def test_those_of_a_connection_file_are_kept_as_far_as_they_are_free() -> None:
    """And libzmq, which asks for them, can bind them while they are."""
    free = any_port()
    with socket.create_server((HOST, 0)) as taken:
        info = ConnectionInfo(shell_port=free, iopub_port=taken.getsockname()[1])
        with kept_free(info):
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind((HOST, free))
            subprocess.run([sys.executable, "-c", BIND, f"tcp://{HOST}:{free}"], check=True)
    with socket.socket() as other:
        other.bind((HOST, free))
