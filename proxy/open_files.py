"""How many files this process may have open, and how many its kernels may.

A session has 26 ZMQ sockets, each with a descriptor of its own besides its connections, and five
more for each frontend. The limit that a login gives its programs, 1,024 as a rule, is that of 15
sessions, so the daemon raises it. Kernels are given it back (:data:`FOR_KERNELS`): what uses
select(2) may rely on it.
"""

from __future__ import annotations

import os
import resource

from proxy.errors import ConfigError

MOST = 32_768
"""No more than this, however many there could be: libzmq sets up a table of as many sockets."""
FILES_OF_A_SESSION = 80
"""With its record, and two frontends."""

FOR_KERNELS = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""The limit that this process began with."""


def limit() -> int:
    """Return how many files may be open at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(soft, MOST)


def raise_limit() -> None:
    """Let this process have as many files open as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_room() -> None:
    """Raise :class:`ConfigError` where there may be none for another session."""
    if limit() - len(os.listdir("/proc/self/fd")) < FILES_OF_A_SESSION:
        raise ConfigError(
            f"the daemon has too many files open for another session (its limit is {limit()}); end "
            "sessions, or raise the hard limit (ulimit -Hn) and restart the daemon"
        )
