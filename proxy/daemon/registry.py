"""The sessions of this user on this machine: one Unix socket each, named after the session.

Who connects to it asks in one line of JSON (:class:`Question`) and is answered in one. A socket
that nobody answers on was left by a kmux that was killed; it is removed.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from proxy.errors import ConfigError
from proxy.settings import runtime_dir

ANSWER_SECONDS = 2.0
MAX_NAME_CHARACTERS = 48
"""A Unix socket's path has some 100 bytes in all."""
MAX_QUESTION_BYTES = 4096
MAX_ANSWER_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class Question(msgspec.Struct, frozen=True):
    """What a session is asked: about itself, about its queue, not to run a cell of it, or to write
    down all that it knows."""

    about: Literal["session", "queue", "cancel", "flush"] = "session"
    msg_id: str = ""


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux ps``; the field names are the keys of ``--json``."""

    name: str
    kernel: str
    language: str
    status: str
    clients: int
    pid: int | None
    connection_file: str
    document: str | None = None
    """The automerge-repo URL of the record's root document, where it is recorded."""
    record_url: str | None = None
    """Where that is found: a WebSocket URL, with the token."""


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of ``kmux queue``: a cell that runs or waits. Field names are ``--json``'s keys."""

    state: str
    client: str
    msg_id: str
    subshell_id: str | None
    code: str


class Flushed(msgspec.Struct, frozen=True):
    """Whether all that a session knows is on the disk now."""

    durable: bool


class Cancelled(msgspec.Struct, frozen=True):
    """How many cells will not run for the asking."""

    count: int


def is_name(name: str) -> bool:
    """Whether this can be a session's name: that of a file, and of a socket."""
    valid = bool(name) and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    return valid and name[0] not in "-." and len(name) <= MAX_NAME_CHARACTERS


def socket_path(name: str) -> Path:
    return runtime_dir() / f"{name}.sock"


def sessions() -> list[SessionInfo]:
    """Return what runs, by name."""
    found = (ask(path) for path in sorted(runtime_dir().glob("*.sock")))
    return [info for info in found if info is not None]


def queue(name: str) -> list[QueueEntry]:
    """Return what runs and waits in a session. Raises :class:`ConfigError` where none runs."""
    return _ask_session(name, Question("queue"), list[QueueEntry])


def cancel(name: str, msg_id: str) -> int:
    """Take a cell that waits out of a session's queue. Returns how many there were: 0 or 1.

    Raises :class:`ConfigError` where no such session runs.
    """
    return _ask_session(name, Question("cancel", msg_id), Cancelled).count


def flush(name: str) -> bool:
    """Have a session write down all that it knows. Returns whether it could.

    Raises :class:`ConfigError` where no such session runs.
    """
    return _ask_session(name, Question("flush"), Flushed).durable


def runs(name: str) -> bool:
    """Whether a session of this name runs."""
    return is_name(name) and ask(socket_path(name)) is not None


def ask(path: Path) -> SessionInfo | None:
    """Ask the session behind a socket about itself.

    Returns None where nobody answers; a socket that was left by a dead kmux is removed.
    """
    return _ask(path, Question(), SessionInfo)


def _ask_session(name: str, question: Question, answer: type[T]) -> T:
    found = _ask(socket_path(name), question, answer) if is_name(name) else None
    if found is None:
        raise ConfigError(f"no session {name!r} runs; kmux ps lists those that do")
    return found


def _ask(path: Path, question: Question, answer: type[T]) -> T | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(question) + b"\n")
            line = bytearray()
            while not line.endswith(b"\n") and len(line) < MAX_ANSWER_BYTES:
                chunk = connection.recv(64 * 1024)
                if not chunk:
                    break
                line += chunk
            return msgspec.json.decode(line, type=answer)
        except OSError as error:
            if error.errno == errno.ECONNREFUSED and path.is_socket():
                path.unlink(missing_ok=True)
            return None
        except msgspec.MsgspecError:
            return None
