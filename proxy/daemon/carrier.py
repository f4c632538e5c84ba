"""Keeps on the disk what a session has on its way, behind it, so that a crash of kmux loses none.

At most every 50 ms, and only where something changed: what came in since then is lost to a kmux
that is killed, as is what its sockets had not delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import trio

from proxy.daemon.state import SessionDirectory
from proxy.errors import StoreError
from proxy.logs import log
from proxy.session import carrying
from proxy.session.carrying import Row
from proxy.session.session import Session

INTERVAL_SECONDS = 0.05
SMALL_BYTES = 64 * 1024
"""What is written without a detour through a thread, which would take longer."""


class Carrier:
    """Writes one session's :class:`Carried`. :meth:`run` is its life."""

    def __init__(
        self,
        session: Session,
        directory: SessionDirectory,
        listeners: Callable[[], dict[str, int]],
        rows: Callable[[bool], list[Row]],
    ) -> None:
        """``listeners`` counts the subscribers of each endpoint; ``rows`` returns what WebSocket
        clients have missed, or (False) only who they are."""
        self._session = session
        self._directory = directory
        self._listeners = listeners
        self._rows = rows
        self._written = -1
        self._failed = False
        self._awake = trio.Event()

    def wake(self) -> None:
        """Something happened."""
        if self._session.changes != self._written:
            self._awake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._awake.wait()
            self._awake = trio.Event()
            await self.write()
            await trio.sleep(INTERVAL_SECONDS)
            self.wake()

    async def write(self) -> None:
        """Write down what is on its way now."""
        raw = self._encoded()
        if len(raw) < SMALL_BYTES:
            self._keep(raw)
        else:
            await trio.to_thread.run_sync(self._keep, raw)

    def write_now(self) -> None:
        """Write it down for a daemon that takes over at once, without a checkpoint."""
        self._keep(self._encoded(True, last_published=self._session.last_published))

    def _encoded(self, leaves: bool = False, **more: object) -> bytes:
        self._written = self._session.changes
        carried = self._session.carried(time.time())
        more["listeners"] = self._listeners()
        more["rows"] = self._rows(leaves)
        return carrying.encode(msgspec.structs.replace(carried, **more))

    def _keep(self, raw: bytes) -> None:
        try:
            self._directory.keep_carried(raw)
        except StoreError as error:
            if not self._failed:  # the record says it as well
                log().error("session.not_carried", why=str(error))
            self._failed = True
        else:
            self._failed = False
