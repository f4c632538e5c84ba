"""A frontend on ``@jupyterlab/services`` whose connection breaks: it connects again by itself, and
the cell that runs has all its outputs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.frontends.kmux_process import Daemon, until
from tests.frontends.services_client import ServicesClient, services_client
from tests.frontends.tcp_proxy import TcpProxy, tcp_proxy

pytestmark = [pytest.mark.timeout(180), pytest.mark.thorough]

RECONNECT_SECONDS = 60.0
"""Where it finds nobody, it tries again after 10 to 30 seconds (services 7.6)."""
SESSION = "analysis"


@pytest.fixture
def proxy(daemon: Daemon) -> Iterator[TcpProxy]:
    daemon.kmux("new", SESSION)
    with tcp_proxy(daemon.json("web")["url"]) as proxy:
        yield proxy


@pytest.fixture
def client(daemon: Daemon, proxy: TcpProxy) -> Iterator[ServicesClient]:
    """A client with the connection "a" through the proxy."""
    with services_client(daemon, url=proxy.url) as client:
        client.ask("start", name="a", kernel=f"shared-{SESSION}")
        client.run("a", "import os, time")
        client.take("connection")
        yield client


class Cell:
    """A cell that prints ten lines, waits for a file, and so on."""

    def __init__(self, client: ServicesClient, directory: Path, rounds: int) -> None:
        self._client = client
        self._directory = directory
        self._rounds = rounds
        self.name = client.execute(
            "a",
            f"for round in range({rounds}):\n"
            "    for i in range(10): print(round, i, flush=True)\n"
            f"    while not os.path.exists({str(directory)!r} + f'/{{round}}'): time.sleep(0.01)\n"
            f"open({str(directory / 'ended')!r}, 'w').close()\n",
        )

    def hear(self, round_: int) -> None:
        """Wait for the last line before a wait, and until the daemon knows that we have it."""
        self._client.hear_stream(self.name, f"{round_} 9")
        self._client.ask("request", name="a", method="requestKernelInfo")

    def go_on(self, round_: int) -> None:
        (self._directory / str(round_)).touch()

    def end(self) -> None:
        """Let it run, and wait until it has ended."""
        for each in range(self._rounds):
            self.go_on(each)
        until((self._directory / "ended").exists, "the cell ends")

    def check(self) -> None:
        """All that it has printed is there, in order and once, and one reply."""
        reply = self._client.outputs(self.name, RECONNECT_SECONDS)
        assert reply["status"] == "ok"
        lines = [f"{round_} {i}" for round_ in range(self._rounds) for i in range(10)]
        assert self._client.text.splitlines() == lines
        assert len(self._client.replies) == 1
        # Its busy is told again, as the true status, after each answer to kernel_info.
        types = [each["type"] for each in self._client.messages if each["type"] != "stream"]
        assert [each for each in types if each != "status"] == ["execute_input"]
        assert self._client.messages[-1]["content"] == {"execution_state": "idle"}


def statuses(client: ServicesClient) -> list[str]:
    """What its connection was since it was asked last."""
    return [each["status"] for each in client.take("connection")]


def test_what_was_printed_while_it_was_cut_off_comes_then(
    client: ServicesClient, proxy: TcpProxy, tmp_path: Path
) -> None:
    cell = Cell(client, tmp_path, 2)
    cell.hear(0)
    proxy.hold()
    cell.end()
    proxy.release()
    cell.check()
    assert statuses(client) == ["connecting", "connected"]
    assert client.run("a", "print('goes on')") == "goes on\n"


def test_it_is_cut_again_and_again(client: ServicesClient, proxy: TcpProxy, tmp_path: Path) -> None:
    rounds = 8
    cell = Cell(client, tmp_path, rounds)
    for each in range(rounds):
        cell.hear(each)
        proxy.cut()
        cell.go_on(each)
        client.hear("connection", lambda event: event["status"] == "connected")
    cell.check()


def test_the_client_connects_anew_in_the_middle_of_a_line(client: ServicesClient) -> None:
    """Its former connection may not be closed yet, for all that the daemon knows."""
    count = 200
    cell = client.execute("a", f"for i in range({count}): print(i, flush=True); time.sleep(0.01)")
    for line in range(10, 90, 10):
        client.hear_stream(cell, f"{line}\n")
        client.ask("reconnect", name="a")
    assert client.outputs(cell)["status"] == "ok"
    assert client.text.split() == [str(i) for i in range(count)]
    assert len(client.replies) == 1


def test_nothing_is_lost_where_a_flood_is_cut(client: ServicesClient, proxy: TcpProxy) -> None:
    """What was on its way comes again: of that nobody knows whether it has arrived."""
    count = 5000
    cell = client.execute("a", f"for i in range({count}): print(i, flush=True)")
    for _ in range(5):
        client.hear("output", lambda event: event["type"] == "stream", takes=False)
        proxy.cut()
        client.hear("connection", lambda event: event["status"] == "connected")
    assert client.outputs(cell)["status"] == "ok"
    numbers = list(map(int, client.text.split()))
    assert sorted(set(numbers)) == list(range(count))
    steps_back = sum(b <= a for a, b in pairwise(numbers))
    assert steps_back <= 5, "what comes again is in one piece for each cut"
    assert numbers[-1] == count - 1


def test_a_prompt_is_asked_again(client: ServicesClient, proxy: TcpProxy) -> None:
    cell = client.execute("a", "print('heard', input('who? '))")
    client.hear("prompt", lambda event: event["cell"] == cell, takes=False)
    proxy.cut()
    client.hear("connection", lambda event: event["status"] == "connected")
    client.ask("answer", cell=cell, value="me", to={})
    client.outputs(cell)
    assert client.text == "heard me\n"


def test_another_client_notices_nothing(
    daemon: Daemon, client: ServicesClient, proxy: TcpProxy
) -> None:
    with services_client(daemon) as other:
        other.ask("start", name="b", kernel=f"shared-{SESSION}")
        cell = other.execute("b", "for i in range(50): print(i, flush=True); time.sleep(0.01)")
        other.hear_stream(cell, "10")
        proxy.cut()
        client.hear("connection", lambda event: event["status"] == "connected")
        other.outputs(cell)
        assert other.text.split() == [str(i) for i in range(50)]
        seen = [e for e in client.take("iopub") if e["type"] == "stream"]
        assert seen


def test_over_a_restart_of_the_daemon_nothing_is_missed(
    daemon: Daemon, client: ServicesClient, tmp_path: Path
) -> None:
    cell = Cell(client, tmp_path, 3)
    cell.hear(0)
    daemon.kmux("daemon", "restart")
    cell.end()
    cell.check()
    assert client.run("a", "print('goes on')") == "goes on\n"


def test_over_a_crash_of_the_daemon_it_goes_on(
    daemon: Daemon, client: ServicesClient, tmp_path: Path
) -> None:
    cell = Cell(client, tmp_path, 3)
    cell.hear(0)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.kmux("ps")
    cell.end()
    cell.check()
    assert client.run("a", "print('goes on')") == "goes on\n"
