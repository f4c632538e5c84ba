"""Connection files: what is written, what is read, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from proxy.errors import ConfigError
from proxy.message import Channel
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo, CurveKeys, new_key, parse, read, write
from tests.strategies import json_objects

PUBLIC, SECRET = (key.decode() for key in zmq.curve_keypair())
PORTS = {channel: 5001 + number for number, channel in enumerate(Channel)}
INFO = ConnectionInfo(key="a key").with_ports(PORTS)
FIELDS: dict[str, Any] = {
    "transport": "tcp",
    "ip": "127.0.0.1",
    **{f"{channel}_port": port for channel, port in PORTS.items()},
    "key": "a key",
    "signature_scheme": "hmac-sha256",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kernel-1.json"


# Written


def test_what_was_written_is_read(path: Path) -> None:
    info = ConnectionInfo(
        transport="ipc",
        ip="/run/kernel",
        key="ключ",
        signature_scheme="hmac-sha512",
        curve=CurveKeys(PUBLIC, SECRET),
        extra={"kernel_name": "python3", "nested": {"a": [1, None]}},
    ).with_ports(PORTS)
    write(path, info)
    assert read(path) == info


def test_it_is_the_users_own_whatever_the_umask_says(path: Path) -> None:
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write(path, INFO)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_directories_are_made_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "kernel.json"
    write(path, INFO)
    assert read(path) == INFO
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    long, short = (
        ConnectionInfo(key=key, extra={"x": key}).with_ports(PORTS) for key in ("k" * 50_000, "k")
    )
    write(path, long)
    done = threading.Event()
    seen: set[int] = set()
    errors: list[Exception] = []

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(len(read(path).key))
            except Exception as error:
                errors.append(error)
                return

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(200):
        write(path, short)
        write(path, long)
    done.set()
    reader.join(10)
    assert errors == []
    assert seen <= {1, 50_000}
    assert os.listdir(path.parent) == [path.name]


def test_when_it_cannot_be_written_the_old_file_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, INFO)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(connection.os, "replace", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write(path, ConnectionInfo(key="new"))
    assert read(path) == INFO
    assert os.listdir(path.parent) == [path.name], "no temporary file is left"


def test_a_place_that_cannot_be_written_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name another with -f"):
        write(tmp_path, INFO)  # a directory
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="name another with -f"):
        write(tmp_path / "file" / "kernel.json", INFO)
    assert os.listdir(tmp_path) == ["file"]


@given(extra=json_objects.filter(lambda extra: not extra.keys() & FIELDS.keys()))
def test_keys_that_nobody_here_knows_are_kept(extra: dict[str, Any]) -> None:
    """kernel_name, jupyter_session and whatever comes next."""
    assert parse(json.dumps({**FIELDS, **extra}).encode(), "it").extra == extra


def test_kept_keys_are_written_back(path: Path) -> None:
    original = {**FIELDS, "kernel_name": "python3", "jupyter_session": "/a/b.ipynb", "extra": 1}
    path.write_text(json.dumps(original))
    write(path, read(path))
    assert json.loads(path.read_text()) == original


# Read, with jupyter_client at the other end


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_jupyter_client_reads_what_is_written(path: Path, transport: Any) -> None:
    info = ConnectionInfo(transport=transport, ip="127.0.0.1", key="a key").with_ports(PORTS)
    write(path, info)
    client = BlockingKernelClient(connection_file=str(path))
    client.load_connection_file()
    assert client.session.key == b"a key"
    for channel in Channel:
        assert client._make_url(str(channel)) == info.url(channel)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_what_jupyter_client_writes_is_read(path: Path, transport: Any) -> None:
    ip = "127.0.0.1" if transport == "tcp" else str(path.parent / "k")
    ports = {f"{channel}_port": port for channel, port in PORTS.items()}
    _, theirs = write_connection_file(
        str(path), ip=ip, key=b"k", transport=transport, kernel_name="python3", **ports
    )
    info = read(path)
    assert (info.transport, info.ip, info.key) == (transport, ip, "k")
    assert {channel: info.port(channel) for channel in Channel} == PORTS
    assert info.extra["kernel_name"] == theirs["kernel_name"]


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "tcp://127.0.0.1:5001"),
        ({"ip": "::1"}, "tcp://[::1]:5001"),
        ({"transport": "ipc", "ip": "/run/user/1/k"}, "ipc:///run/user/1/k-5001"),
        ({"transport": "ipc", "ip": "kernel"}, "ipc://kernel-5001"),
    ],
)
def test_endpoints(fields: dict[str, str], url: str) -> None:
    assert parse(json.dumps({**FIELDS, **fields}).encode(), "it").url(Channel.SHELL) == url


def test_curve_keys_are_read_and_written_under_jupyters_names(path: Path) -> None:
    fields = {**FIELDS, "curve_publickey": PUBLIC, "curve_secretkey": SECRET}
    path.write_text(json.dumps(fields))
    info = read(path)
    assert info.curve == CurveKeys(PUBLIC, SECRET)
    write(path, info)
    assert json.loads(path.read_text()) == fields


def test_keys_are_random_and_of_128_bits() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(len(bytes.fromhex(key)) == 16 for key in made)


def test_the_signer_is_that_of_key_and_scheme() -> None:
    info = ConnectionInfo(key="ключ", signature_scheme="hmac-md5")
    assert len(info.signer().sign(b"", b"", b"", b"")) == 32
    assert ConnectionInfo().signer().sign(b"", b"", b"", b"") == b""


# Refused

FOREIGN: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "a binary": b"\x7fELF\x02\x01\x01\x00" + bytes(60),
    "a list": b"[1, 2]",
    "a string": b'"shell_port"',
    "null": b"null",
    "an empty object": b"{}",
    "a notebook": json.dumps({"cells": [], "metadata": {}, "nbformat": 4}).encode(),
    "cut off": json.dumps(FIELDS).encode()[:-4],
    "two objects": json.dumps(FIELDS).encode() * 2,
    "no heartbeat": json.dumps({k: v for k, v in FIELDS.items() if k != "hb_port"}).encode(),
    "a port as text": json.dumps({**FIELDS, "shell_port": "5001"}).encode(),
    "a port as null": json.dumps({**FIELDS, "shell_port": None}).encode(),
    "a negative port": json.dumps({**FIELDS, "shell_port": -1}).encode(),
    "a port too high": json.dumps({**FIELDS, "iopub_port": 65536}).encode(),
    "an unknown transport": json.dumps({**FIELDS, "transport": "udp"}).encode(),
    "an unknown scheme": json.dumps({**FIELDS, "signature_scheme": "hmac-rot13"}).encode(),
    "a key as a number": json.dumps({**FIELDS, "key": 7}).encode(),
    "curve keys as numbers": json.dumps(
        {**FIELDS, "curve_publickey": 1, "curve_secretkey": 2}
    ).encode(),
}
FOREIGN_TO_MSGSPEC: dict[str, bytes] = {
    "not UTF-8": json.dumps(FIELDS).encode().replace(b"a key", b"\xff\xfe"),
    "nested too deep": b'{"a": ' + b"[" * 2000,
}


def refused(raw: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(raw, "kernel-1.json")
    return str(caught.value)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_a_config_error_in_one_line(kind: str) -> None:
    said = refused(FOREIGN[kind])
    assert "kernel-1.json" in said or "signature_scheme" in said
    assert "\n" not in said


@pytest.mark.parametrize("kind", FOREIGN_TO_MSGSPEC)
def test_so_is_one_that_trips_the_decoder(kind: str) -> None:
    assert "kernel-1.json" in refused(FOREIGN_TO_MSGSPEC[kind])


@pytest.mark.parametrize("bad", ["short", "x" * 41, "é" * 40])
def test_a_curve_key_that_is_none_is_refused_when_it_is_read(bad: str) -> None:
    fields = {**FIELDS, "curve_publickey": bad, "curve_secretkey": SECRET}
    assert "curve" in refused(json.dumps(fields).encode())


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_config_error_or_a_connection_file(raw: bytes) -> None:
    try:
        parse(raw, "it")
    except ConfigError:
        pass


@given(at=st.integers(0, 200), by=st.binary(max_size=3))
def test_so_are_damaged_ones(at: int, by: bytes) -> None:
    raw = bytearray(json.dumps({**FIELDS, "kernel_name": "päis"}, ensure_ascii=False).encode())
    raw[at : at + 1] = by
    try:
        parse(bytes(raw), "it")
    except ConfigError as error:
        assert "\n" not in str(error)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="Is a directory"):
        read(tmp_path)
