"""The daemon's life: one for each user, from its lock to the last word of its sessions.

It ends when it is told to, and leaves its kernels running: the next one goes on with them. Only
``kmux daemon stop --all`` ends them as well.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import ExitStack, suppress

import trio

from proxy import __version__
from proxy.daemon import open_files
from proxy.daemon import state as states
from proxy.daemon.client import Daemon
from proxy.daemon.control import timestamp
from proxy.daemon.daemon_api import DaemonApi
from proxy.daemon.place import lock_file, socket_path
from proxy.daemon.sessions import Early, Sessions
from proxy.daemon.state import SessionDirectory
from proxy.daemon.vocabulary import DaemonStatus
from proxy.endpoints.unix_front import UnixFront
from proxy.errors import ClientProtocolError, ConfigError, DaemonGone, KmuxError
from proxy.hosting import Host, open_host
from proxy.kernels.eavesdropping import eavesdrop
from proxy.log_file import LogFile
from proxy.logs import configure_file, log
from proxy.settings import Settings, log_file

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Sink:
    """What the front reports goes to the log."""

    def rejected(self, error: ClientProtocolError) -> None:
        log().info("web.rejected", reason=str(error))

    def failed(self, error: Exception) -> None:
        log().error("internal.error", what="control API", exc_info=error)


async def serve(settings: Settings, *, takes_over: bool = False) -> None:
    """Be the daemon. Raises :class:`ConfigError` where there is one already.

    With ``takes_over`` that one is asked to end, and nothing of what its kernels say is missed.
    """
    open_files.raise_limit()
    async with open_host(open_files.MAX_FILES) as host:
        early = await _hear_early(host) if takes_over else {}
        with ExitStack() as stack:
            stack.callback(os.close, _lock())
            file = LogFile(log_file(), max_bytes=settings.log_bytes, files=settings.log_files)
            configure_file(file, settings.log_level)
            await _serve(settings, host, early)


async def _hear_early(host: Host) -> Early:
    """Subscribe to all kernels, and have the daemon end that has them."""
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
    with suppress(DaemonGone):
        await trio.to_thread.run_sync(Daemon().stop)
    return early


async def _serve(settings: Settings, host: Host, early: Early) -> None:
    began = time.time()
    ending, end_sessions = trio.Event(), False

    def end(sessions_too: bool) -> None:
        nonlocal end_sessions
        end_sessions |= sessions_too
        ending.set()

    def status() -> DaemonStatus:
        return DaemonStatus(
            pid=os.getpid(),
            version=__version__,
            socket=str(socket_path()),
            started=timestamp(began),
            sessions=len(sessions),
            log_file=str(log_file()),
        )

    async with trio.open_nursery() as nursery:
        sessions = Sessions(host, settings, early)
        front = UnixFront(DaemonApi(sessions, status, end).routes(), _Sink(), path=socket_path())
        await front.listen()
        await nursery.start(_obey_signals, end)
        await nursery.start(sessions.run)
        await nursery.start(front.serve)
        log().info("daemon.started", pid=os.getpid(), version=__version__, sessions=len(sessions))
        await ending.wait()
        log().info("daemon.ending", sessions=len(sessions), with_them=end_sessions)
        if end_sessions:
            await sessions.stop_all()
        else:
            sessions.leave()
        nursery.cancel_scope.cancel()
    log().info("daemon.ended")


async def _obey_signals(
    end: object, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for _ in signals:
            end(False)  # type: ignore[operator]


def _lock() -> int:
    """Take the lock of this user's daemon. It lasts until the descriptor is closed."""
    lock = os.open(lock_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        raise ConfigError(
            f"a daemon runs already: process {holder}, on {socket_path()}; see kmux daemon status"
        ) from None
    return lock
