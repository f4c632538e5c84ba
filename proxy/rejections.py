"""Count dropped frames, and log the counts without letting a flood fill the log."""

from __future__ import annotations

from collections import Counter

import trio

from proxy.errors import ProtocolError
from proxy.logs import log
from proxy.message import Channel

REPORT_SECONDS = 1.0


class Rejections:
    """Frames that were dropped, by who sent them, channel and reason."""

    def __init__(self) -> None:
        self.total = 0
        self._new: Counter[tuple[str, str, str]] = Counter()
        self._wake = trio.Event()

    def count(self, channel: Channel, error: ProtocolError) -> None:
        """Take note of one."""
        self.total += 1
        blame = "client" if "Client" in type(error).__name__ else "kernel"
        reason = str(error).partition(":")[0]
        self._new[blame, channel, reason] += 1
        self._wake.set()

    async def report(self) -> None:
        """Log what is new, at most once in ``REPORT_SECONDS`` for each reason, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._flush()
                await trio.sleep(REPORT_SECONDS)
        finally:
            self._flush()

    def _flush(self) -> None:
        self._wake = trio.Event()
        new, self._new = self._new, Counter()
        for (blame, channel, reason), count in new.items():
            log().warning(
                "frames.rejected",
                blame=blame,
                channel=channel,
                reason=reason,
                count=count,
                total=self.total,
            )
