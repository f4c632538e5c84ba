"""ZMQ contexts and socket sets that live as long as a test needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import trio
import zmq

from proxy.sockets import SocketSet

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"


@contextmanager
def open_context() -> Iterator[Context]:
    """Open a ZMQ context; when all went well, a socket that was left open is an error."""
    context = zmq.Context[zmq.Socket[bytes]]()
    try:
        yield context
        left = [socket for socket in context._sockets if not socket.closed]
        assert not left, f"sockets were left open: {left}"
    finally:
        context.destroy(linger=0)


@asynccontextmanager
async def run_sockets() -> AsyncIterator[SocketSet]:
    """Run a socket set while the context lasts, and close what is in it."""
    sockets = SocketSet()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sockets.run)
            yield sockets
            nursery.cancel_scope.cancel()
    finally:
        sockets.close_all()
