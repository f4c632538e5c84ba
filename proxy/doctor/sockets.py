"""Whether sockets were left behind, and whether somebody listens who does not answer."""

from __future__ import annotations

import contextlib
from pathlib import Path

from proxy.doctor import processes
from proxy.doctor.findings import Finding, error, of_error, ok, some, warning
from proxy.doctor.surroundings import Holder, Surroundings
from proxy.endpoints.unix_socket import is_served, remove_left
from proxy.errors import ConfigError, DaemonSilent


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at the sockets in the runtime directory: of ``kmux run``, and of ipc endpoints."""
    if surroundings.runtime is None:
        return []
    found = [_failed(each) for each in surroundings.run_sockets if each.failure is not None]
    served = [each for each in surroundings.run_sockets if each.served]
    left = [
        each.path for each in surroundings.run_sockets if not each.served and each.failure is None
    ]
    left += [path for path in sorted(surroundings.runtime.glob("ipc-*")) if _is_left(path)]
    if left:
        names = ", ".join(path.name for path in left)
        found.append(
            warning(
                f"nobody listens on {names}: left by a kmux that was killed",
                "kmux doctor --fix removes what was left",
                lambda: remove(left),
            )
        )
    return found or [ok(f"{some(len(served), 'socket')} of kmux run, none left behind")]


def _failed(holder: Holder) -> Finding:
    """Say why one does not tell what it has."""
    assert holder.failure is not None
    if not isinstance(holder.failure, DaemonSilent):
        return of_error(holder.failure)
    who = processes.named(holder.pid) if holder.pid is not None else "somebody"
    return error(
        f"{who} listens on {holder.path.name} and does not answer",
        f"end it: kill {holder.pid}; its kernel ends with it" if holder.pid else "end it",
    )


def _is_left(path: Path) -> bool:
    try:
        return path.is_socket() and not is_served(path)
    except (OSError, ConfigError):
        return False


def remove(paths: list[Path]) -> str:
    """Remove those that nobody listens on by now, either."""
    removed = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.is_socket() and remove_left(path):
                removed.append(path.name)
    return f"removed {', '.join(removed)}" if removed else "they are in use, or gone, by now"
