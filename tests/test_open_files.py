"""As many files as there may be, for a process with many sessions; as before for its kernels."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from proxy import open_files
from proxy.errors import ConfigError

MANY = 1500
"""ZMQ sockets: more than libzmq has by itself, and more than a login's limit of files."""

OPEN_MANY = f"""
import resource, trio, zmq
from proxy import open_files
from proxy.hosting import open_host
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
open_files.raise_limit()

async def main():
    async with open_host() as host:
        sockets = [host.context.socket(zmq.PAIR) for _ in range({MANY})]
        print(len(sockets))
        for socket in sockets:
            socket.close()

trio.run(main)
"""


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * MANY, reason="the hard limit is low"
)
def test_there_can_be_more_sockets_than_libzmq_has_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_MANY], capture_output=True, text=True, timeout=30
    )
    assert (done.stdout, done.stderr) == (f"{MANY}\n", "")


def test_the_limit_is_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (100_000, 200_000)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("it was set"))
    open_files.raise_limit()
    assert open_files.limit() == open_files.MOST


def test_without_any_limit_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    infinite = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (infinite, infinite))
    open_files.raise_limit()
    assert open_files.limit() == open_files.MOST
    open_files.check_room()


def test_where_there_is_no_room_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    open_files.check_room()
    few = len(os.listdir("/proc/self/fd")) + 10
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (few, few))
    with pytest.raises(ConfigError, match=rf"too many files open .*\(its limit is {few}\)"):
        open_files.check_room()
