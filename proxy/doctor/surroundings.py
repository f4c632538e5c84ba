"""What several checks look at: looked at once, when it is first wanted, and changed by none.

What cannot be used (a directory that is somebody else's, a daemon that does not answer) is nothing
here: one check says so, and the others do without.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from proxy.daemon.http_client import DaemonClient
from proxy.daemon.vocabulary import DaemonStatus, SessionInfo
from proxy.doctor import listeners, processes
from proxy.doctor.listeners import Listener
from proxy.doctor.processes import Process
from proxy.endpoints.peers import peer_of
from proxy.endpoints.unix_socket import is_served
from proxy.errors import ConfigError, DaemonGone, KmuxError, StoreError
from proxy.settings import data_path, runtime_path
from proxy.settings.directories import leads_elsewhere

if TYPE_CHECKING:
    from proxy.daemon.state import SessionState
    from proxy.kernels.keeping import KernelDirectory

ANSWER_SECONDS = 2.0
"""Who takes longer for a word about itself hangs. A daemon under load takes milliseconds."""
_LOOK_SECONDS = 0.05

T = TypeVar("T")


class Stored(msgspec.Struct, frozen=True):
    """A session on the disk."""

    path: Path
    state: SessionState | None
    failure: StoreError | None
    """Why it cannot be gone on with."""

    @property
    def kernel(self) -> KernelDirectory:
        """Where its kernel's traces are."""
        from proxy.kernels.keeping import KernelDirectory

        return KernelDirectory(self.path)


class Holder(msgspec.Struct, frozen=True):
    """A socket in the runtime directory, and who answers there."""

    path: Path
    served: bool
    """Whether somebody listens."""
    pid: int | None = None
    """Who, where that can be told."""
    sessions: list[SessionInfo] = []
    failure: KmuxError | None = None
    """Why it does not say what it has."""


class Surroundings:
    """This machine, as far as it is kmux's and this user's."""

    @cached_property
    def runtime(self) -> Path | None:
        """The runtime directory, if there is one to look into."""
        path = runtime_path()
        return None if leads_elsewhere(path) else _usable(path)

    @cached_property
    def data(self) -> Path | None:
        """The data directory, if there is one to look into."""
        with contextlib.suppress(ConfigError):
            return _usable(data_path())
        return None

    @cached_property
    def jupyter_runtime(self) -> Path | None:
        """Where connection files are. None where Jupyter does not know where its things are."""
        from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

        try:
            return Path(jupyter_data_dir()) and Path(jupyter_runtime_dir())
        except RuntimeError:  # a user without a home directory
            return None

    @property
    def daemon_socket(self) -> Path:
        """Where the daemon listens."""
        return runtime_path() / "daemon" / "control.sock"

    @property
    def daemon_lock(self) -> Path | None:
        """What the daemon locks."""
        return None if self.data is None else self.data / "daemon.lock"

    @cached_property
    def daemon(self) -> DaemonStatus | KmuxError:
        """What the daemon says of itself, or why it says nothing. One that comes up is waited for,
        as long as one that does not answer."""
        parent = self.daemon_socket.parent
        if self.runtime is None or (os.path.lexists(parent) and _usable(parent) is None):
            return DaemonGone(f"{parent} cannot be used")  # it is said elsewhere
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            answer = _asked(self.daemon_socket, "/kmux/daemon", DaemonStatus)
            comes_up = isinstance(answer, DaemonGone) and self.lock_holder is not None
            if not comes_up or time.monotonic() > deadline:
                return answer
            time.sleep(_LOOK_SECONDS)

    @cached_property
    def lock_holder(self) -> int | None:
        """The process that has the daemon's lock: one that runs, or comes up."""
        return None if self.daemon_lock is None else processes.lock_holder(self.daemon_lock)

    @cached_property
    def daemon_runs(self) -> bool:
        """Whether there is one, well or not."""
        return not isinstance(self.daemon, DaemonGone) or self.lock_holder is not None

    @cached_property
    def daemon_sessions(self) -> list[SessionInfo] | None:
        """The sessions of the daemon; None where one runs that does not say."""
        if isinstance(self.daemon, KmuxError):
            return None if self.daemon_runs else []
        answer = _asked(self.daemon_socket, "/kmux/sessions", list[SessionInfo])
        return None if isinstance(answer, KmuxError) else answer

    @cached_property
    def run_sockets(self) -> list[Holder]:
        """Those of ``kmux run``, served or left."""
        paths = sorted(self.runtime.glob("*.sock")) if self.runtime is not None else []
        return [_holder(path) for path in paths if path.is_socket()]

    @cached_property
    def sessions(self) -> list[SessionInfo]:
        """All sessions that are known to run, whoever has them."""
        run = [session for holder in self.run_sockets for session in holder.sessions]
        return [*(self.daemon_sessions or []), *run]

    @cached_property
    def stored(self) -> list[Stored]:
        """The sessions on the disk."""
        if self.data is None or (sessions := _usable(self.data / "sessions")) is None:
            return []
        directories = sorted(sessions.iterdir())
        stored = [_stored(d) for d in directories if d.is_dir() and not d.name.startswith(".")]
        return [each for each in stored if each.state is not None or not each.kernel.is_prewarmed]

    @cached_property
    def processes(self) -> list[Process]:
        """The processes of this user."""
        return processes.of_this_user()

    @cached_property
    def listeners(self) -> list[Listener]:
        """The ports that are listened on."""
        return listeners.listeners()

    def listener(self, ip: str, port: int) -> Listener | None:
        """Return who has an address."""
        return next((each for each in self.listeners if each.has(ip, port)), None)


def _usable(path: Path) -> Path | None:
    with contextlib.suppress(OSError):
        if path.stat().st_uid == os.getuid() and os.access(path, os.R_OK | os.X_OK):
            return path if path.is_dir() else None
    return None


def _asked(path: Path, target: str, into: type[T]) -> T | KmuxError:
    try:
        return DaemonClient(path).request("GET", target, into=into, timeout=ANSWER_SECONDS)
    except KmuxError as error:
        return error


def _holder(path: Path) -> Holder:
    try:
        if not is_served(path):
            return Holder(path, served=False)
    except ConfigError as error:
        return Holder(path, served=False, failure=error)
    answer = _asked(path, "/kmux/sessions", list[SessionInfo])
    if isinstance(answer, DaemonGone):  # it has just ended
        return Holder(path, served=False)
    if isinstance(answer, KmuxError):
        return Holder(path, served=True, pid=listening_pid(path), failure=answer)
    return Holder(path, served=True, pid=listening_pid(path), sessions=answer)


def listening_pid(path: Path) -> int | None:
    """Return the process that listens on a Unix socket, also one that accepts nothing."""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.connect(str(path))
        return peer_of(connection).pid or None
    return None


def _stored(path: Path) -> Stored:
    from proxy.daemon.state import read_state

    try:
        return Stored(path, read_state(path), None)
    except StoreError as error:
        return Stored(path, None, error)
