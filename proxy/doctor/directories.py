"""Whether kmux's directories can be used, by nobody else; and Jupyter's for connection files."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from proxy.daemon.vocabulary import MAX_NAME_CHARACTERS
from proxy.doctor.findings import Finding, error, of_error, ok, warning
from proxy.doctor.surroundings import Surroundings
from proxy.errors import ConfigError
from proxy.settings import data_path, runtime_path
from proxy.settings.directories import leads_elsewhere

MIN_FREE_BYTES = 100 * 1000**2
MAX_SOCKET_BYTES = 107
"""A Unix socket's path (unix(7), ``sun_path``), without the zero behind it."""
OTHERS = 0o077


def check(surroundings: Surroundings) -> list[Finding]:
    """Look at all of them."""
    runtime = runtime_path()
    if leads_elsewhere(runtime):
        found = [error(f"{runtime} leads elsewhere", "remove it, or set KMUX_RUNTIME_DIR")]
    else:
        found = _runtime(runtime, surroundings)
    try:
        found += _private(data_path(), "data directory", "KMUX_DATA_DIR")
    except ConfigError as failure:
        found.append(of_error(failure))
    jupyter = surroundings.jupyter_runtime
    if jupyter is None:
        found.append(error("Jupyter finds nothing without a home directory", "set HOME"))
    else:
        found += _usable(jupyter, "Jupyter runtime directory", "JUPYTER_RUNTIME_DIR")
    return found


def _runtime(path: Path, surroundings: Surroundings) -> list[Finding]:
    found = _private(path, "runtime directory", "KMUX_RUNTIME_DIR")
    return [*found, *_below(surroundings.daemon_socket.parent), *socket_lengths(path)]


def _private(path: Path, what: str, variable: str) -> list[Finding]:
    found = _usable(path, what, variable)
    if found[0].level != "error" and path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & OTHERS:
            found[0] = warning(
                f"others can look into the {what} {path} (mode {mode:o})",
                f"chmod 700 {path}",
                lambda: _make_private(path),
            )
    return found


def _below(path: Path) -> list[Finding]:
    """Look at a directory in the runtime directory, in which a socket is to be."""
    try:
        status = path.stat()
    except OSError:
        return []  # it is not there yet, or what is above it is no good either
    if status.st_uid != os.getuid():
        return [
            error(f"{path} belongs to another user", "have it removed, or set KMUX_RUNTIME_DIR")
        ]
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        return [
            error(
                f"others can get at {path} (mode {mode:o}): no daemon listens there",
                f"chmod 700 {path}",
                lambda: _make_private(path),
            )
        ]
    return []


def _make_private(path: Path) -> str:
    path.chmod(0o700)
    return f"made {path} yours alone (mode 700)"


def _usable(path: Path, what: str, variable: str) -> list[Finding]:
    """Say whether a directory is there, or can be made, and written in; at first what is worst."""
    elsewhere = f"set {variable} to a directory of your own"
    try:
        status = path.stat()
    except FileNotFoundError:
        return [_to_be_made(path, what, elsewhere)]
    except OSError as failure:
        return [error(f"cannot use the {what} {path}: {failure.strerror}", elsewhere)]
    if not stat.S_ISDIR(status.st_mode):
        return [error(f"the {what} {path} is no directory", f"remove it, or {elsewhere}")]
    if status.st_uid != os.getuid():
        return [error(f"the {what} {path} belongs to another user", elsewhere)]
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"\n")
    except OSError as failure:
        return [
            error(
                f"cannot write in the {what} {path}: {failure.strerror}",
                f"chmod 700 {path}, make room there, or {elsewhere}",
            )
        ]
    free = shutil.disk_usage(path).free
    if free < MIN_FREE_BYTES:
        return [
            warning(
                f"there are {free // 1000**2} MB left for the {what} {path}",
                f"make room there, or {elsewhere}",
            )
        ]
    return [ok(f"{what} {path}")]


def _to_be_made(path: Path, what: str, elsewhere: str) -> Finding:
    above = next((each for each in path.parents if os.path.exists(each)), Path("/"))
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return ok(f"{what} {path}, not made yet")
    return error(f"cannot make the {what} {path}: {above} cannot be written in", elsewhere)


def socket_lengths(runtime: Path) -> list[Finding]:
    """Say whether sockets in the runtime directory have paths that the system takes."""
    longest = len(os.fsencode(runtime / ("x" * MAX_NAME_CHARACTERS + ".sock")))
    daemons = len(os.fsencode(runtime / "daemon" / "control.sock"))
    advice = "set KMUX_RUNTIME_DIR to a directory with a shorter path"
    if daemons > MAX_SOCKET_BYTES:
        return [error(f"{runtime} is too long for the path of a socket in it", advice)]
    if longest > MAX_SOCKET_BYTES:
        left = MAX_NAME_CHARACTERS - (longest - MAX_SOCKET_BYTES)
        return [warning(f"in {runtime} only sessions with names up to {left} can be run", advice)]
    return []
