"""Whether connection files were left in Jupyter's runtime directory: they lead nowhere.

Frontends list them, and try them. One is left where no session has it and nobody listens on any of
its ports.
"""

from __future__ import annotations

import os
from pathlib import Path

from proxy.doctor import listeners, processes
from proxy.doctor.findings import Finding, ok, some, warning
from proxy.doctor.listeners import Listener
from proxy.doctor.surroundings import Surroundings
from proxy.endpoints.unix_socket import is_served
from proxy.errors import ConfigError
from proxy.message import Channel
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

PREFIX = "kernel-kmux-"


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at the files that are named as kmux names them."""
    claimed = _claimed(surroundings)
    unclaimed = [path for path in _files(surroundings) if path not in claimed and _is_ours(path)]
    left, found = [], []
    for path in unclaimed:
        try:
            info = connection.read(path)
        except ConfigError as failure:
            found.append(warning(str(failure), f"remove it: rm {path}"))
            continue
        listener = in_use(info, surroundings.listeners)
        if listener is None and is_here(info):
            left.append(path)
        elif listener is not None:
            found.append(_used(path, listener))
    if left:
        names = ", ".join(path.name for path in left)
        found.append(
            warning(
                f"{names}: no session has {'it' if len(left) == 1 else 'them'}, and nobody listens",
                "kmux doctor --fix removes what was left",
                lambda: remove(left),
            )
        )
    return found or [ok(f"{some(len(claimed), 'file')} of sessions, none left behind")]


def _files(surroundings: Surroundings) -> list[Path]:
    """All that kmux may have written: for frontends, and for the kernels of ``kmux run``."""
    found: list[Path] = []
    if surroundings.jupyter_runtime is not None:
        found += sorted(surroundings.jupyter_runtime.glob(f"{PREFIX}*.json"))
    if surroundings.runtime is not None:
        found += sorted((surroundings.runtime / "kernels").glob("*.json"))
    return found


def _claimed(surroundings: Surroundings) -> set[Path]:
    """Those of the sessions that run or wait for a daemon."""
    claimed = {Path(session.connection_file) for session in surroundings.sessions}
    for stored in surroundings.stored:
        if stored.state is not None:
            claimed |= {Path(endpoint.file) for endpoint in stored.state.endpoints}
    names = {holder.path.stem for holder in surroundings.run_sockets if holder.served}
    claimed |= {path for path in _files(surroundings) if _kmux_run_of(path) in names}
    return {path for path in claimed if os.path.exists(path)}


def _kmux_run_of(path: Path) -> str:
    """Return the name of the session that it is of, if it is one of ``kmux run``."""
    if path.name.startswith(PREFIX):
        return path.stem.removeprefix(PREFIX).removesuffix("-replay")
    return path.stem.rpartition("-")[0]


def _is_ours(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def is_here(info: ConnectionInfo) -> bool:
    """Whether this machine would know of somebody who listens there."""
    return info.transport == "ipc" or info.ip.startswith("127.") or info.ip == "localhost"


def in_use(info: ConnectionInfo, known: list[Listener]) -> Listener | Path | None:
    """Return who listens on any of the ports."""
    for channel in Channel:
        port = info.port(channel)
        if info.transport == "ipc":
            path = Path(f"{info.ip}-{port}")
            if path.is_socket() and is_served(path):
                return path
        else:
            for listener in known:
                if listener.has(info.ip, port):
                    return listener
    return None


def _used(path: Path, listener: Listener | Path) -> Finding:
    if isinstance(listener, Path):
        who = "somebody"
    else:
        pid = listeners.holder(listener)
        who = processes.named(pid) if pid is not None else "a process of another user"
    return warning(
        f"{path.name}: no session has it, and {who} listens on its ports",
        "if that is a kmux that does not answer, end it; else remove the file",
    )


def remove(paths: list[Path]) -> str:
    """Remove those on whose ports nobody listens by now, either."""
    removed = []
    known = listeners.listeners()
    for path in paths:
        try:
            if in_use(connection.read(path), known) is None:
                path.unlink(missing_ok=True)
                removed.append(path.name)
        except ConfigError:  # it is gone, or another one
            continue
    return f"removed {', '.join(removed)}" if removed else "they are in use, or gone, by now"
