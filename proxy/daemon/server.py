"""The daemon's life: one for each user, from its lock to the last word of its sessions.

It ends when it is told to, and leaves its kernels running: the next one goes on with them. Only
``kmux daemon stop --all`` ends them as well.

It answers before it can do much: what sessions are made of takes most of its start to import, so a
thread imports it meanwhile. Who asks for a session waits for that.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import trio

from proxy import __version__, open_files
from proxy.daemon.daemon_api import DaemonApi
from proxy.daemon.place import has_sessions, lock_file, socket_path
from proxy.daemon.pool_api import PoolApi
from proxy.daemon.vocabulary import DaemonStatus, timestamp
from proxy.endpoints.unix_front import UnixFront
from proxy.errors import ClientProtocolError, ConfigError, Conflict, KmuxError
from proxy.log_file import LogFile
from proxy.settings import Settings, log_file

if TYPE_CHECKING:
    from proxy.daemon.prewarming import Prewarming
    from proxy.daemon.sessions import Early, Sessions
    from proxy.daemon.shims import Shims
    from proxy.daemon.web import Web
    from proxy.hosting import Host

SIGNALS = (signal.SIGTERM, signal.SIGINT)
MAX_CONNECTIONS = 1000
"""Each frontend's kernel holds one."""
TELL_SECONDS = 1.0
"""For shims to hear of it: they would take it for a crash, and start another daemon at once."""


class _Sink:
    """What the front reports goes to the log."""

    def rejected(self, error: ClientProtocolError) -> None:
        from proxy.logs import log

        log().info("web.rejected", reason=str(error))

    def failed(self, error: Exception) -> None:
        from proxy.logs import log

        log().error("internal.error", what="control API", exc_info=error)


async def serve(settings: Settings, *, takes_over: bool = False) -> None:
    """Be the daemon. Raises :class:`ConfigError` where there is one already.

    With ``takes_over`` that one is asked to end, and nothing of what its kernels say is missed.
    """
    open_files.raise_limit()
    async with AsyncExitStack() as stack:
        taken: tuple[Host, Early] | None = None
        if takes_over:
            from proxy.daemon.handover import taking_over

            # While the other one still serves: until there is a daemon again, what a kernel answers
            # is lost.
            _import_sessions()
            taken = await stack.enter_async_context(taking_over())
        stack.callback(os.close, _lock())
        await _Server(settings).run(taken)


class _Server:
    """What there is of a daemon before its sessions, and around them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began = time.time()
        self._goes_on = has_sessions()
        self._sessions: Sessions | None = None
        self._shims: Shims | None = None
        self._loaded = trio.Event()
        self._ending = trio.Event()
        self._ends_sessions = False
        self._web: Web | None = None
        self._prewarming: Prewarming | None = None
        self._api = DaemonApi(
            self._wait_for_sessions, self._wait_for_shims, self._status, self._end
        )
        self._pool_api = PoolApi(self._wait_for_pool)

    async def run(self, taken: tuple[Host, Early] | None) -> None:
        """Serve until it is told to end. ``taken`` is what comes of another one's place."""
        routes = [*self._api.routes(), *self._pool_api.routes()]
        front = UnixFront(routes, _Sink(), path=socket_path(), max_connections=MAX_CONNECTIONS)
        async with trio.open_nursery() as nursery:
            await front.listen()
            await nursery.start(_obey_signals, self._end)
            await nursery.start(front.serve)
            await trio.to_thread.run_sync(_import_what_sessions_take, self._settings)
            async with _host_of(taken) as (host, early):
                await self._run_sessions(host, early, nursery)
        from proxy.logs import log

        log().info("daemon.ended")

    async def _run_sessions(self, host: Host, early: Early, nursery: trio.Nursery) -> None:
        """Go on with them until it is told to end; then all is cancelled."""
        from proxy.daemon.sessions import Sessions
        from proxy.daemon.shims import Shims
        from proxy.logs import log

        async with trio.open_nursery() as lives:
            sessions = Sessions(host, self._settings, early)
            await lives.start(sessions.run)
            self._prewarming = sessions.prewarming = _prewarming(self._settings)
            self._sessions, self._shims = sessions, Shims(sessions)
            if self._prewarming is not None:
                lives.start_soon(self._prewarming.run, sessions.environments)
            lives.start_soon(self._shims.run)
            self._loaded.set()
            if self._settings.web:
                await trio.to_thread.run_sync(_import_what_http_takes)
                from proxy.daemon.web import Web

                web_routes = [*self._api.web_routes(), *self._pool_api.routes()]

                self._web = Web(self._settings, sessions, web_routes, _Sink())
                lives.start_soon(self._web.serve)
            count = len(sessions)
            log().info("daemon.started", pid=os.getpid(), version=__version__, sessions=count)
            await self._ending.wait()
            with_them = self._ends_sessions
            log().info("daemon.ending", sessions=len(sessions), with_them=with_them)
            if with_them:
                await sessions.stop_all()
            with trio.move_on_after(TELL_SECONDS):
                await self._shims.end()
            if not with_them:
                await sessions.leave()
            nursery.cancel_scope.cancel()

    # What the API asks

    async def _wait_for_sessions(self) -> Sessions:
        await self._loaded.wait()
        assert self._sessions is not None
        return self._sessions

    async def _wait_for_shims(self) -> Shims:
        await self._loaded.wait()
        assert self._shims is not None
        return self._shims

    async def _wait_for_pool(self) -> Prewarming:
        await self._loaded.wait()
        if self._prewarming is None:
            raise Conflict("there is no pool: the daemon's log says why, and kmux doctor")
        return self._prewarming

    async def _status(self) -> DaemonStatus:
        """Where there are sessions to go on with, it says how many these are."""
        if self._goes_on:
            await self._loaded.wait()
        sessions = self._sessions
        broken = sessions.broken.items() if sessions is not None else ()
        return DaemonStatus(
            pid=os.getpid(),
            version=__version__,
            socket=str(socket_path()),
            started=timestamp(self._began),
            sessions=len(sessions) if sessions is not None else 0,
            log_file=str(log_file()),
            url=self._web.url if self._web is not None else "",
            problem=self._web.problem if self._web is not None else "",
            broken={str(directory): why for directory, why in broken},
        )

    def _end(self, sessions_too: bool) -> None:
        self._ends_sessions |= sessions_too
        self._ending.set()


@asynccontextmanager
async def _host_of(taken: tuple[Host, Early] | None) -> AsyncIterator[tuple[Host, Early]]:
    """Have what sessions share: that of a handover, or anew."""
    from proxy.hosting import open_host

    if taken is not None:
        yield taken
        return
    async with open_host() as host:
        yield host, {}


def _prewarming(settings: Settings) -> Prewarming | None:
    """Have what looks after the pool; None where its directory cannot be used."""
    from proxy.daemon.prewarming import Prewarming
    from proxy.environments import chosen
    from proxy.logs import log

    try:
        return Prewarming(settings, chosen.pool(settings))
    except KmuxError as error:
        log().warning("pool.waits", kind="any", why=str(error))
        return None


def _import_what_sessions_take(settings: Settings) -> None:
    """Have it imported, in a worker thread, and the log set up with it."""
    from proxy.logs import configure_file

    file = LogFile(log_file(), max_bytes=settings.log_bytes, files=settings.log_files)
    configure_file(file, settings.log_level)
    _import_sessions()


def _import_sessions() -> None:
    import proxy.daemon.prewarming
    import proxy.daemon.shims
    import proxy.environments.chosen  # noqa: F401


def _import_what_http_takes() -> None:
    import proxy.daemon.web  # noqa: F401


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
