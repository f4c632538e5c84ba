"""A path for a socket: free, taken, left behind, and wanted by several at once."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.endpoints.unix_socket import listen_on, remove_left
from proxy.errors import ConfigError


@pytest.fixture
def path(private: Path) -> Path:
    return private / "kmux.sock"


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        listen_on(path, 1)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_it_is_private_and_goes_when_it_is_closed(private: Path) -> None:
    path = private / "new" / "kmux.sock"
    mine = listen_on(path, 1)
    connect(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path], "nothing else is left there"
    mine.close()
    assert list(path.parent.iterdir()) == []


def test_one_that_was_left_is_replaced(path: Path) -> None:
    """Its owner was killed."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    mine = listen_on(path, 1)
    connect(path)
    mine.close()


def test_one_that_was_left_is_removed_and_one_that_is_served_is_not(path: Path) -> None:
    mine = listen_on(path, 5)
    assert not remove_left(path)
    assert path.exists()
    mine.socket.close()  # as when it is killed
    assert remove_left(path)
    assert not path.exists()
    path.write_text("")
    with pytest.raises(ConfigError, match="is no socket"):
        remove_left(path)
    assert path.exists()


def test_one_that_somebody_listens_on_is_not(path: Path) -> None:
    mine = listen_on(path, 5)
    assert refused(path) == f"somebody listens on {path} already; end it first"
    connect(path)
    mine.close()


def test_one_whose_owner_has_no_time_is_not(path: Path) -> None:
    """It accepts nobody, and as many wait as may."""
    busy = listen_on(path, 0)
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(path))
        assert "somebody listens" in refused(path)
    busy.close()


STARTER = """
import sys
from pathlib import Path
from proxy.endpoints.unix_socket import listen_on, remove_left
from proxy.errors import ConfigError
print("ready", flush=True)
for round in sys.stdin:
    try:
        mine = listen_on(Path(sys.argv[1]), 5)
    except ConfigError:
        print("lost", flush=True)
    else:
        print("won", flush=True)
        input()
        mine.socket.close()
        print("left it behind", flush=True)
"""


def test_of_several_that_start_at_once_one_wins(path: Path) -> None:
    """Also from one that was left: there, each might replace that of another one."""
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    def say(starter: subprocess.Popen[str]) -> None:
        assert starter.stdin is not None
        starter.stdin.write("go\n")
        starter.stdin.flush()

    def hear(starter: subprocess.Popen[str]) -> str:
        assert starter.stdout is not None
        return starter.stdout.readline().strip()

    try:
        assert [hear(starter) for starter in starters] == ["ready"] * 4
        for _ in range(50):
            for starter in starters:
                say(starter)
            results = [hear(starter) for starter in starters]
            assert sorted(results) == ["lost", "lost", "lost", "won"]
            connect(path)
            winner = starters[results.index("won")]
            say(winner)
            assert hear(winner) == "left it behind"
    finally:
        for starter in starters:
            starter.communicate()


def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    assert refused(path) == f"{path} is no socket; remove it, or choose another path"
    assert path.read_text() == "precious"
    path.unlink()
    path.mkdir()
    assert "is no socket" in refused(path)


@pytest.mark.parametrize("length", [90, 100, 120])
def test_a_path_that_is_too_long_is_told(private: Path, length: int) -> None:
    path = private / ("x" * length)
    if len(str(path)) <= 107:
        listen_on(path, 1).close()
    else:
        assert refused(path).endswith("too long; choose a shorter path of your own")
    assert list(private.iterdir()) == []


def test_a_directory_that_others_can_get_at_is_refused(path: Path) -> None:
    """Who can write there could put a socket of their own in the place."""
    path.parent.chmod(0o755)
    assert "of mode 700" in refused(path)


def test_a_directory_of_somebody_else_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    assert "of your own" in refused(path)


def test_a_directory_that_cannot_be_made_is_told(path: Path) -> None:
    path.write_text("")
    assert refused(path / "kmux.sock").startswith(f"cannot use {path}: ")


def test_another_ones_is_not_taken_away(path: Path) -> None:
    """Somebody removed ours, and began anew, before we ended."""
    first = listen_on(path, 1)
    path.unlink()
    second = listen_on(path, 1)
    first.close()
    connect(path)
    second.close()
    assert not path.exists()
