"""Which process is at the other end of a local connection (Linux).

The frontend that started kmux as its kernel may end it; another frontend on the same ports may
not. The messages of the two look alike, so the connection tells. On a Unix socket the system says
also whose process it is.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

ROOT = 0


class Peer(msgspec.Struct, frozen=True):
    """Who connected to a Unix socket, as it was then (SO_PEERCRED of unix(7))."""

    pid: int
    """0 where it is in a container that cannot be looked into."""
    uid: int
    gid: int

    @property
    def may_come_in(self) -> bool:
        """Whether it is a process of the user who runs this one; root may do as it likes anyway."""
        return self.uid in (os.getuid(), ROOT)


class _Connection(Protocol):
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def peer_of(connection: _Connection) -> Peer:
    """Ask the system who is at the other end of a Unix socket. Raises OSError."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return Peer(*struct.unpack("=iII", credentials))


def belongs_to(descriptor: int, pid: int) -> bool | None:
    """Whether the peer of a connection is this process; None if that cannot be told."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        if connection.family == socket.AF_UNIX:
            return peer_of(connection).pid == pid
        inode = _inode_of_peer(connection)
        return _holds(pid, inode) if inode is not None else None
    except OSError:
        return None
    finally:
        connection.detach()  # libzmq's


def end_sending(descriptor: int) -> None:
    """Tell the peer of a connection that nothing more comes, and hear what it sends until then.

    libzmq takes that for the end: it closes the connection, and keeps what is to be sent on it.
    """
    with suppress(OSError):  # it closed just now
        connection = socket.socket(fileno=descriptor)
        try:
            connection.shutdown(socket.SHUT_WR)
        finally:
            connection.detach()  # libzmq's


def _inode_of_peer(connection: socket.socket) -> str | None:
    """Find the peer's side of a loopback connection in the system's table of connections."""
    table = "tcp6" if connection.family == socket.AF_INET6 else "tcp"
    peer, own = connection.getpeername(), connection.getsockname()
    wanted = (_hex(connection.family, peer), _hex(connection.family, own))
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1], fields[2]) == wanted:
            return fields[9]
    return None


def _hex(family: int, address: tuple[str, int]) -> str:
    """Write an address as /proc/net/tcp does: 32-bit words in the machine's byte order."""
    packed = socket.inet_pton(family, address[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


def _holds(pid: int, inode: str) -> bool | None:
    wanted = f"socket:[{inode}]"
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if os.readlink(entry.path) == wanted:
                        return True
    except OSError:
        return None
    return False
