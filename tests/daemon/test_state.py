"""What the daemon remembers on the disk: written whole, read with care."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.daemon.state import (
    DamagedState,
    EndpointState,
    SessionDirectory,
    SessionState,
    known,
    prewarmed,
)
from proxy.errors import StoreError
from proxy.kernels.keeping import Launch
from proxy.message import MsgId
from proxy.session import carrying
from proxy.session.carrying import Carried
from proxy.wire.connection import ConnectionInfo

STATE = SessionState(
    id="abc",
    name="work",
    kernel_name="python3",
    key="key",
    identity="me",
    env={"PATH": "/bin"},
    found=ConnectionInfo(key="key", shell_port=1, extra={"kernel_name": "x"}),
    endpoints=[EndpointState(tag="zmq", kind="shared", file="f", info=ConnectionInfo(hb_port=2))],
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionDirectory:
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path / "data"))
    return SessionDirectory("abc")


def test_what_is_written_is_read(directory: SessionDirectory) -> None:
    directory.write(STATE)
    assert directory.read() == STATE
    assert [d.path for d in known()] == [directory.path]
    assert (directory.path / "session.json").stat().st_mode & 0o777 == 0o600
    directory.remove()
    assert known() == []


def test_a_kernel_that_waits_for_a_session_is_none(directory: SessionDirectory) -> None:
    launch = Launch(kernel_name="python3", interrupt_mode="signal", identity="me")
    os.close(directory.kernel.begin(launch, prewarmed=True))
    assert known() == []
    assert [d.path for d in prewarmed()] == [directory.path]
    directory.kernel.belongs()
    assert [d.path for d in known()] == [directory.path]
    assert prewarmed() == []


def test_a_file_that_is_cut_anywhere_is_refused_in_one_line(directory: SessionDirectory) -> None:
    directory.write(STATE)
    file = directory.path / "session.json"
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        if whole[length:].strip():
            with pytest.raises(DamagedState, match=r"is damaged .*kmux doctor --fix"):
                directory.read()


def test_a_file_of_a_later_version_is_refused(directory: SessionDirectory) -> None:
    directory.write(STATE)
    file = directory.path / "session.json"
    file.write_text(file.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(StoreError, match="later version of kmux"):
        directory.read()


def test_what_is_missing_is_refused(directory: SessionDirectory) -> None:
    with pytest.raises(StoreError, match="cannot read"):
        directory.read()


def test_what_is_on_its_way_is_nothing_where_it_cannot_be_read(directory: SessionDirectory) -> None:
    assert directory.carried() is None
    raw = carrying.encode(Carried(at=1.0, last_published=[MsgId("m")]))
    directory.keep_carried(raw)
    assert directory.carried() == Carried(at=1.0, last_published=[MsgId("m")])
    directory.keep_carried(raw[:-1])
    assert directory.carried() is None


def test_a_disk_that_takes_nothing_is_a_clear_error(
    directory: SessionDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.write(STATE)
    (directory.path / ".session.json.new").mkdir()  # it cannot be written any more
    with pytest.raises(StoreError, match="make room there, or set KMUX_DATA_DIR"):
        directory.write(STATE)
    assert directory.read() == STATE
