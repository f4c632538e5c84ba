"""Take the place of the daemon that runs, and miss nothing of what its kernels say meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from proxy.daemon import state as states
from proxy.daemon.client import Daemon
from proxy.daemon.sessions import Early
from proxy.daemon.state import SessionDirectory
from proxy.errors import DaemonGone, KmuxError
from proxy.hosting import Host, open_host
from proxy.kernels.eavesdropping import eavesdrop


@asynccontextmanager
async def taking_over() -> AsyncIterator[tuple[Host, Early]]:
    """Subscribe to all kernels, and have the daemon end that has them."""
    async with open_host() as host:
        early = await _hear_early(host)
        with suppress(DaemonGone):
            await trio.to_thread.run_sync(Daemon().stop)
        yield host, early


async def _hear_early(host: Host) -> Early:
    early: Early = {}

    async def hear(directory: SessionDirectory) -> None:
        with suppress(KmuxError):
            state = directory.read()
            info = state.found or directory.kernel.info()
            raw = await eavesdrop(host.context, info)
            if raw is not None:
                early[state.id] = raw

    async with trio.open_nursery() as nursery:
        for directory in states.known():
            nursery.start_soon(hear, directory)
    return early
