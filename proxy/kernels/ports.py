"""Ports for a kernel that is about to be launched, kept free until it binds them.

A kernel is told its ports before it binds them, a long time for a computer. Two things could
happen meanwhile, and did (about one kernel in a hundred did not come up, six at a time):

* Another process is given one of them. So each is kept by a socket that is bound to it and does
  not listen: Linux gives it to nobody who asks for any port, nor to a connection. With
  SO_REUSEADDR it lets who asks for this one with SO_REUSEADDR bind it and listen: libzmq and the
  ZMQ libraries of Rust, Go and Java do. The option is set when the port is bound already, or two
  keepers could have the same.
* It had been promised already: a frontend that runs kmux as its kernel chose kmux's ports in the
  same way, by binding "any port", and has closed them again. Linux takes such ports from one half
  of its range, the odd ones as a rule, and the ports of connections from the other half
  (``inet_csk_find_open_port``); a kernel's are taken from the other half.
"""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from proxy.message import Channel
from proxy.wire.connection import ConnectionInfo

PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
ATTEMPTS = 1000
DEFAULT_PORT_RANGE = (32768, 60999)


class ReservedPorts:
    """One port for each channel, by its name in a connection file, until it is closed."""

    def __init__(self, ip: str) -> None:
        """Raises ``OSError`` where ``ip`` is no IPv4 address of this machine, or has no port."""
        self.by_name: dict[str, int] = {}
        self._sockets = ExitStack()
        candidates = connection_ports()
        try:
            for channel in Channel:
                keeper = self._sockets.enter_context(socket.socket())
                self.by_name[f"{channel}_port"] = _bind(keeper, ip, candidates)
                keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give them back."""
        self._sockets.close()


@contextmanager
def kept_free(info: ConnectionInfo) -> Iterator[None]:
    """Keep the ports of a connection file free while the context lasts, as far as they are.

    Who promised them to somebody takes ports of his own meanwhile.
    """
    with ExitStack() as keepers:
        for port in info.ports.values() if info.transport == "tcp" and ":" not in info.ip else ():
            keeper = keepers.enter_context(socket.socket())
            with suppress(OSError):
                keeper.bind((info.ip, port))
                keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield


def connection_ports() -> range:
    """Return the ports that Linux takes for connections first, and for "any port" last."""
    try:
        low, high = map(int, PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        low, high = DEFAULT_PORT_RANGE
    return range(low, high + 1, 2)


def _bind(keeper: socket.socket, ip: str, candidates: range) -> int:
    for _ in range(ATTEMPTS):
        port = random.choice(candidates)  # noqa: S311 - no secret
        try:
            keeper.bind((ip, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(errno.EADDRINUSE, "no free port was found")
