"""Is the kernel still there? For a person: a process that ended is noticed by its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from proxy.kernels.channels import KernelChannels
from proxy.pulse import beat
from proxy.sockets import Unreachable

INTERVAL_SECONDS = 3.0
"""As jupyter_client's ``HBChannel.time_to_dead`` and restarter; rare enough to cost nothing."""
MISSED_LIMIT = 5


async def watch(channels: KernelChannels, changed: Callable[[bool], None]) -> None:
    """Ping the kernel until cancelled; call ``changed`` when it stops or starts to answer.

    A kernel is given as long as it needs for its first beat: it may be a minute in coming up.
    """
    alive = False
    while True:
        with contextlib.suppress(Unreachable):
            channels.ping()
        await beat(INTERVAL_SECONDS)
        heard = channels.heartbeat_heard
        if heard is None:
            continue
        late = time.monotonic() - heard > MISSED_LIMIT * INTERVAL_SECONDS
        if late == alive:
            alive = not late
            changed(alive)
