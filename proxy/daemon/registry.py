"""The sessions of this user on this machine: one Unix socket each, named after the session.

Who connects to it is told about the session in one line of JSON. A socket that nobody answers on
was left by a kmux that was killed; it is removed.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import msgspec

from proxy.settings import runtime_dir

ANSWER_SECONDS = 2.0
MAX_ANSWER_BYTES = 64 * 1024


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux ps``; the field names are the keys of ``--json``."""

    name: str
    kernel: str
    language: str
    status: str
    clients: int
    pid: int | None
    connection_file: str


def socket_path(name: str) -> Path:
    return runtime_dir() / f"{name}.sock"


def sessions() -> list[SessionInfo]:
    """Return what runs, by name."""
    found = (ask(path) for path in sorted(runtime_dir().glob("*.sock")))
    return [info for info in found if info is not None]


def ask(path: Path) -> SessionInfo | None:
    """Ask the session behind a socket about itself.

    Returns None where nobody answers; a socket that was left by a dead kmux is removed.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            line = b""
            while not line.endswith(b"\n") and len(line) < MAX_ANSWER_BYTES:
                chunk = connection.recv(4096)
                if not chunk:
                    break
                line += chunk
            return msgspec.json.decode(line, type=SessionInfo)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)
            return None
        except msgspec.MsgspecError:
            return None
