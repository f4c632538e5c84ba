"""Which process is at the other end of a local connection (Linux).

A frontend that starts kmux as its kernel is an ancestor of it, and may end it; another frontend
on the same ports may not. The messages of the two look alike, so the connection tells.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

MAX_ANCESTORS = 64


def is_from_ancestor(descriptor: int) -> bool | None:
    """Whether the peer of a connection is an ancestor of this process; None if unknown."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        ancestors = _ancestors()
        if connection.family == socket.AF_UNIX:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return struct.unpack("=iII", credentials)[0] in ancestors
        inode = _inode_of_peer(connection)
        if inode is None:
            return None
        return any(_holds(pid, inode) for pid in ancestors)
    except OSError:
        return None
    finally:
        connection.detach()  # libzmq's


def _ancestors() -> list[int]:
    pids: list[int] = []
    pid = os.getppid()
    while pid > 1 and len(pids) < MAX_ANCESTORS:
        pids.append(pid)
        try:
            # "pid (comm) state ppid …"; comm may hold blanks and parentheses
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        pid = int(stat.rpartition(")")[2].split()[1])
    return pids


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


def _holds(pid: int, inode: str) -> bool:
    wanted = f"socket:[{inode}]"
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(entry.path) == wanted:
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False
