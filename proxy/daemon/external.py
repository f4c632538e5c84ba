"""A directory of connection files, one for each session, for jupyter_server to list.

    jupyter lab --ServerApp.allow_external_kernels=True \\
        --ServerApp.external_connection_dir=~/.local/share/kmux/connections

A server reads each file once, and loses a kernel whose file is gone: so a file has its session's
id, and stays when that is renamed. What a server shows of a kernel is its kernelspec's name; where
there is none of this name, the name itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from proxy.daemon.state import SessionState
from proxy.errors import KmuxError
from proxy.logs import log
from proxy.settings import data_dir
from proxy.wire import connection

NAME = "shared-{}"
"""As the kernelspec that attaches to a session (``kmux kernelspec install --attach``)."""


def directory() -> Path:
    """Return where the files are. Raises as :func:`data_dir`."""
    return data_dir() / "connections"


def publish(state: SessionState) -> None:
    """Write a session's file, with its present name. That it cannot be written ends nothing."""
    shared = next((each.info for each in state.endpoints if each.kind == "shared"), None)
    if shared is None:
        return
    info = msgspec.structs.replace(
        shared, extra={**shared.extra, "kernel_name": NAME.format(state.name)}
    )
    try:
        building = data_dir() / f".{state.id}.json"  # a server would list one that is half there
        connection.write(building, info)
        directory().mkdir(mode=0o700, exist_ok=True)
        os.replace(building, _file(state.id))
    except (KmuxError, OSError) as error:
        log().warning("session.not_listed", why=str(error))


def withdraw(ident: str) -> None:
    """Take a session's file away."""
    with contextlib.suppress(KmuxError, OSError):
        _file(ident).unlink(missing_ok=True)


def sweep(idents: Iterable[str]) -> None:
    """Take away all files but those of these sessions: what was left of others by a crash."""
    known = {f"{ident}.json" for ident in idents}
    with contextlib.suppress(KmuxError, OSError):
        for file in directory().iterdir():
            if file.name not in known:
                file.unlink(missing_ok=True)


def _file(ident: str) -> Path:
    return directory() / f"{ident}.json"
