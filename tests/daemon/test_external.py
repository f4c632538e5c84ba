"""The directory of connection files that jupyter_server may list. What it makes of it is in
tests/frontends/test_attach_paths.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from proxy.daemon import external
from proxy.daemon.state import EndpointState, SessionState
from proxy.wire.connection import ConnectionInfo
from tests.frontends.kmux_process import Daemon


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path))
    return tmp_path


def session(ident: str, name: str = "work") -> SessionState:
    info = ConnectionInfo(shell_port=4711, key="k", extra={"kernel_name": "python3"})
    shared = EndpointState(tag="zmq", kind="shared", file="", info=info)
    looking = msgspec.structs.replace(shared, kind="read_only", info=ConnectionInfo())
    return SessionState(
        id=ident,
        name=name,
        kernel_name="python3",
        key="k",
        identity="i",
        endpoints=[looking, shared],
    )


def files() -> list[str]:
    return sorted(path.name for path in external.directory().iterdir())


def test_a_file_for_each_session_by_its_name(data_dir: Path) -> None:
    external.publish(session("a1"))
    written = data_dir / "connections" / "a1.json"
    assert json.loads(written.read_text())["kernel_name"] == "shared-work"
    assert json.loads(written.read_text())["shell_port"] == 4711
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.parent.stat().st_mode & 0o777 == 0o700
    external.publish(session("a1", name="renamed"))
    external.publish(session("b2"))
    assert files() == ["a1.json", "b2.json"], "a server would lose a kernel whose file is gone"
    assert json.loads(written.read_text())["kernel_name"] == "shared-renamed"
    external.withdraw("a1")
    external.withdraw("a1")
    assert files() == ["b2.json"]


def test_what_a_crash_left_is_swept_away() -> None:
    external.sweep(["a1"])
    external.publish(session("a1"))
    external.publish(session("b2"))
    external.sweep(["a1"])
    assert files() == ["a1.json"]


def test_a_disk_that_takes_nothing_ends_nothing(data_dir: Path) -> None:
    (data_dir / "connections").touch()
    external.publish(session("a1"))
    external.withdraw("a1")
    external.sweep([])


def test_the_daemon_keeps_it(daemon: Daemon) -> None:
    directory = Path(daemon.workplace.environment["KMUX_DATA_DIR"]) / "connections"

    def listed() -> list[str]:
        return [json.loads(file.read_text())["kernel_name"] for file in directory.iterdir()]

    daemon.kmux("new", "work")
    assert listed() == ["shared-work"]
    daemon.kmux("daemon", "stop", "--all")
    assert listed() == []
