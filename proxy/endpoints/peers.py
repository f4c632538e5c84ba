"""Which process is at the other end of a local connection (Linux).

The frontend that started kmux as its kernel may end it; another frontend on the same ports may
not. The messages of the two look alike, so the connection tells.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path


def belongs_to(descriptor: int, pid: int) -> bool | None:
    """Whether the peer of a connection is this process; None if that cannot be told."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        if connection.family == socket.AF_UNIX:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            peer: int = struct.unpack("=iII", credentials)[0]
            return peer == pid
        inode = _inode_of_peer(connection)
        return _holds(pid, inode) if inode is not None else None
    except OSError:
        return None
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
