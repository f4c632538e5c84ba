"""What a kernel's process writes to stdout and stderr: crashes, C extensions, faulthandler."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import trio

from proxy.kernels.keeping import tail
from proxy.logs import log

MAX_LINE_BYTES = 16 * 1024
LAST_WORDS = 2
"""Lines that are kept to say why a kernel did not start."""
LOOKED_AT_LINES = 50
LOOK_SECONDS = 0.1
EOF_SECONDS = 0.5
"""What a dead process wrote is in the pipe already; its children may keep that open for ever."""
PORT_TAKEN = os.strerror(errno.EADDRINUSE)
"""What ZMQ libraries say where a port cannot be bound. It is the only way to know of it."""


class Output(Protocol):
    """What is asked of a kernel's output while it comes up."""

    port_taken: trio.Event
    """It wrote that an address is in use. ipykernel lives on after that, and serves nobody."""

    async def follow(self) -> None:
        """Watch it, until there is no more to come or to be looked for."""

    async def last_words(self) -> list[str]:
        """The last lines that a process wrote that has ended."""


class ProcessOutput:
    """Logs the output of one process, line by line, and remembers the last lines.

    ``descriptor`` is a pipe, or None for a process whose output is not ours to read.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._stream = None if descriptor is None else trio.lowlevel.FdStream(descriptor)
        self._ended = trio.Event()
        self.port_taken = trio.Event()
        """It wrote that an address is in use. ipykernel lives on after that, and serves nobody."""
        self._last: deque[str] = deque(maxlen=LAST_WORDS)

    async def follow(self) -> None:
        """Read until the pipe is closed. When cancelled, it is closed from this side."""
        rest = b""
        if self._stream is not None:
            async with self._stream:
                async for chunk in self._stream:
                    *lines, rest = (rest + chunk).split(b"\n")
                    if len(rest) > MAX_LINE_BYTES:
                        lines, rest = [*lines, rest], b""
                    for line in lines:
                        self._note(line)
        if rest:
            self._note(rest)
        self._ended.set()

    async def last_words(self) -> list[str]:
        """The last lines that a process wrote that has ended."""
        with trio.move_on_after(EOF_SECONDS):
            await self._ended.wait()
        return list(self._last)

    def _note(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip()
        log().info("kernel.output", line=line)
        if PORT_TAKEN in line:
            self.port_taken.set()
        if line:
            self._last.append(line.strip())


class FileOutput:
    """The output of a process that outlives kmux, in a file. It is read while ``is_wanted``."""

    def __init__(self, path: Path, is_wanted: Callable[[], bool]) -> None:
        self.port_taken = trio.Event()
        self._path = path
        self._is_wanted = is_wanted

    async def follow(self) -> None:
        """Look for what matters to a kernel that comes up."""
        while self._is_wanted():
            if any(PORT_TAKEN in line for line in tail(self._path, LOOKED_AT_LINES)):
                self.port_taken.set()
                return
            await trio.sleep(LOOK_SECONDS)

    async def last_words(self) -> list[str]:
        """The last lines of the file."""
        return [line.strip() for line in tail(self._path, LAST_WORDS)]
