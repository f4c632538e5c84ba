"""A session's entry in the registry: its name on this machine, and the socket that answers."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import trio

from proxy.daemon.registry import (
    ANSWER_SECONDS,
    MAX_NAME_CHARACTERS,
    MAX_QUESTION_BYTES,
    Cancelled,
    Flushed,
    Question,
    QueueEntry,
    SessionInfo,
    ask,
    is_name,
    socket_path,
)
from proxy.errors import ConfigError

Answer = SessionInfo | list[QueueEntry] | Cancelled | Flushed


class NameTaken(ConfigError):
    """A session of this name runs."""


def check_name(name: str) -> None:
    """Raise :class:`ConfigError` for a name that cannot be a file's and a socket's."""
    if not is_name(name):
        raise ConfigError(
            f"{name!r} is not a name for a session: up to {MAX_NAME_CHARACTERS} letters, digits, "
            "'-', '_' and '.', beginning with a letter or digit"
        )


class Registration:
    """A session's entry. Made by :func:`register`; close it to take the entry away."""

    def __init__(self, name: str, path: Path, listener: socket.socket) -> None:
        self.name = name
        self._path = path
        self._listener = listener

    async def serve(self, answer: Callable[[Question], Awaitable[Answer]]) -> None:
        """Answer whoever asks, until cancelled."""

        async def converse(stream: trio.SocketStream) -> None:
            with trio.move_on_after(ANSWER_SECONDS):
                with contextlib.suppress(trio.BrokenResourceError, msgspec.MsgspecError):
                    asked = msgspec.json.decode(await _line(stream), type=Question)
                    await stream.send_all(msgspec.json.encode(await answer(asked)) + b"\n")
            await stream.aclose()

        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._listener))
        await trio.serve_listeners(converse, [listener])

    def close(self) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)


async def _line(stream: trio.SocketStream) -> bytes:
    """Read up to the end of the line, or of what a question may have."""
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_QUESTION_BYTES:
        chunk = await stream.receive_some(MAX_QUESTION_BYTES)
        if not chunk:
            break
        line += chunk
    return line


def register_as(wish: str) -> Registration:
    """Take a name like ``wish``, with a number where a session of that name runs."""
    base = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in wish)
    base = base.strip("-.")[: MAX_NAME_CHARACTERS - 4] or "kernel"
    for number in range(1, 1000):
        try:
            return register(base if number == 1 else f"{base}-{number}")
        except NameTaken:
            continue
    raise ConfigError(f"a thousand sessions are called {base!r}; choose another --name")


def register(name: str) -> Registration:
    """Take a name on this machine. Raises :class:`NameTaken` (a ConfigError) where it is taken."""
    check_name(name)
    path = socket_path(name)
    if ask(path) is not None:
        raise NameTaken(f"a session {name!r} runs already; choose another --name, or see kmux ps")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Who asks a socket that does not listen yet would take it for one that was left behind.
    unborn = path.with_suffix(f".{os.getpid()}")
    try:
        listener.bind(str(unborn))
        unborn.chmod(0o600)
        listener.listen()
        os.link(unborn, path)
    except OSError as error:
        listener.close()
        if error.errno == errno.EEXIST:
            raise NameTaken(f"a session {name!r} is starting; choose another --name") from None
        raise ConfigError(
            f"cannot register the session at {path}: {error.strerror or error}; "
            "set KMUX_RUNTIME_DIR to a shorter path that you can write"
        ) from None
    finally:
        unborn.unlink(missing_ok=True)
    return Registration(name, path, listener)
