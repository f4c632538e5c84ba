"""Which ports of this machine are listened on, and by whom, as /proc shows it.

Nobody is connected to: a kernel or kmux would take that for a client.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

import msgspec

from proxy.doctor.processes import PROC

TABLES = {socket.AF_INET: PROC / "net" / "tcp", socket.AF_INET6: PROC / "net" / "tcp6"}
_LISTENS = "0A"
_ANY = ("0.0.0.0", "::")  # noqa: S104 - what others may listen on
_NAMES = {"localhost": "127.0.0.1", "*": "0.0.0.0"}  # noqa: S104
"""What stands in connection files for addresses."""


class Listener(msgspec.Struct, frozen=True):
    """A socket that somebody listens on."""

    ip: str
    port: int
    inode: str

    def has(self, ip: str, port: int) -> bool:
        """Whether nobody else can listen on this address."""
        ip = _NAMES.get(ip, ip)
        return port == self.port and (ip == self.ip or ip in _ANY or self.ip in _ANY)


def listeners() -> list[Listener]:
    """Return all of them; none where the system does not tell."""
    return [listener for family in TABLES for listener in _of(family)]


def _of(family: int) -> Iterator[Listener]:
    with contextlib.suppress(OSError):
        for line in TABLES[socket.AddressFamily(family)].read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS:
                address, _, port = fields[1].partition(":")
                yield Listener(_ip(family, address), int(port, 16), fields[9])


def _ip(family: int, text: str) -> str:
    """Read an address as /proc/net/tcp writes it: 32-bit words in the machine's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def holder(listener: Listener) -> int | None:
    """Return the process that has a socket. None where it is another user's."""
    link = f"socket:[{listener.inode}]"
    for process in os.listdir(PROC):
        if process.isdigit():
            with contextlib.suppress(OSError):
                if link in map(os.readlink, (PROC / process / "fd").iterdir()):
                    return int(process)
    return None
