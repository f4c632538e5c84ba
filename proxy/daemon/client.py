"""The daemon, for commands, the shim and the provisioner: typed, synchronous, fast to import."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import quote

from proxy.daemon.http_client import DaemonClient, Lines
from proxy.daemon.place import (
    has_sessions,
    is_locked,
    lock_file,
    socket_path,
    start_lock_file,
)
from proxy.daemon.vocabulary import (
    Adoption,
    Attached,
    AttachRequest,
    Cancelled,
    ClientEntry,
    DaemonStatus,
    Flushed,
    NewSession,
    OutputFile,
    PoolStatus,
    QueueEntry,
    Rename,
    SessionInfo,
    ShimCalled,
    ShimNews,
    ShimRequest,
    StartNews,
    ThrownAway,
)
from proxy.errors import ConfigError, DaemonGone, DaemonSilent, KmuxError, NotFound, of_kind
from proxy.settings import log_file

START_SECONDS = 15.0
NEW_SECONDS = 60.0
"""For a kernel that comes up: JupyterLab gives it as long."""
WARM_SECONDS = 900.0
"""For environments that are downloaded."""
STOP_SECONDS = 30.0
FLUSH_SECONDS = 30.0
"""Writing down a flood takes its time."""
_LOOK_SECONDS = 0.01
_DETACH = "import os, sys; os.fork() or os.setsid() or os.execv(sys.argv[1], sys.argv[1:])"
"""Be nobody's child: editors end their kernels with all descendants (VS Code), and kernels are the
daemon's."""


class Daemon:
    """The daemon of this user. Every method raises what the daemon did, and
    :class:`DaemonGone`."""

    def __init__(self, client: DaemonClient | None = None) -> None:
        self._client = client or DaemonClient(socket_path())

    # Itself

    def status(self) -> DaemonStatus:
        return self._client.request("GET", "/kmux/daemon", into=DaemonStatus)

    def stop(self, *, sessions_too: bool = False) -> None:
        """Have it end, and wait until it has."""
        pid = self.status().pid
        target = "/kmux/daemon?all" if sessions_too else "/kmux/daemon"
        self._client.request("DELETE", target, into=type(None), timeout=STOP_SECONDS)
        wait_for_end(pid)

    # Sessions

    def sessions(self) -> list[SessionInfo]:
        return self._client.request("GET", "/kmux/sessions", into=list[SessionInfo])

    def session(self, name: str) -> SessionInfo:
        return self._client.request("GET", _of(name), into=SessionInfo)

    def new(self, wish: NewSession, tell: Callable[[str], None] = lambda step: None) -> SessionInfo:
        """Begin a session, and return it when its kernel answers. ``tell`` is told what is done
        before, which may take minutes. Who is interrupted meanwhile begins none.

        Raises :class:`DaemonSilent` where the daemon ends meanwhile, which says what becomes of
        the session.
        """
        lines = self._client.lines(
            "POST", "/kmux/starts", wish, into=StartNews, timeout=NEW_SECONDS
        )
        name = ""
        try:
            with lines as all_news:
                for news in all_news:
                    if news.session is not None:
                        return news.session
                    if news.problem:
                        raise of_kind(news.reason, news.problem) or KmuxError(news.problem)
                    name = news.name
                    tell(news.step)
        except DaemonSilent:
            if name:
                raise self._left_to_the_next(name) from None
            raise
        raise DaemonSilent("the daemon hung up without an answer; its log may say why")

    def _left_to_the_next(self, name: str) -> DaemonSilent:
        """Say what becomes of a session whose daemon has ended while it began."""
        try:
            self.session(name)
        except NotFound:
            return DaemonSilent(f"the daemon ended, and session {name!r} with it; see its log")
        except KmuxError:  # nobody is there, or not yet
            return DaemonSilent(f"the daemon ended; the next one goes on with session {name!r}")
        return DaemonSilent(f"another daemon goes on with session {name!r}; see kmux ps")

    def adopt(self, wish: Adoption) -> SessionInfo:
        return self._client.request(
            "POST", "/kmux/adoptions", wish, into=SessionInfo, timeout=NEW_SECONDS
        )

    def rename(self, name: str, new: str) -> SessionInfo:
        return self._client.request("PATCH", _of(name), Rename(name=new), into=SessionInfo)

    def stop_session(self, name: str) -> None:
        self._client.request("DELETE", _of(name), into=type(None), timeout=STOP_SECONDS)

    def interrupt(self, name: str) -> None:
        self._client.request("POST", f"{_of(name)}/interrupt", into=type(None))

    def restart(self, name: str) -> SessionInfo:
        return self._client.request("POST", f"{_of(name)}/restart", into=SessionInfo)

    def flush(self, name: str) -> bool:
        """Have a session write down all that it knows. Returns whether it could."""
        target = f"{_of(name)}/flush"
        return self._client.request("POST", target, into=Flushed, timeout=FLUSH_SECONDS).durable

    def attach(self, name: str, wish: AttachRequest) -> Attached:
        return self._client.request("POST", f"{_of(name)}/endpoints", wish, into=Attached)

    def clients(self, name: str) -> list[ClientEntry]:
        return self._client.request("GET", f"{_of(name)}/clients", into=list[ClientEntry])

    def queue(self, name: str) -> list[QueueEntry]:
        return self._client.request("GET", f"{_of(name)}/queue", into=list[QueueEntry])

    def cancel(self, name: str, msg_id: str) -> int:
        target = f"{_of(name)}/queue/{quote(msg_id, safe='')}"
        return self._client.request("DELETE", target, into=Cancelled).count

    def pool(self) -> PoolStatus:
        return self._client.request("GET", "/kmux/pool", into=PoolStatus)

    def warm_pool(self) -> PoolStatus:
        """Have it filled, and wait until it is or that has failed."""
        return self._client.request("POST", "/kmux/pool", into=PoolStatus, timeout=WARM_SECONDS)

    def flush_pool(self) -> int:
        """Throw away what waits. Returns how many environments those were."""
        return self._client.request("DELETE", "/kmux/pool", into=ThrownAway).count

    def output_file(self, name: str) -> str:
        """Return the file with what a session's kernel writes to stdout and stderr."""
        return self._client.request("GET", f"{_of(name)}/output", into=OutputFile).file

    def shim(self, wish: ShimRequest) -> AbstractContextManager[Lines[ShimNews]]:
        """Have a session served on a frontend's ports while the context lasts."""
        return self._client.lines("POST", "/kmux/shims", wish, into=ShimNews, timeout=NEW_SECONDS)

    def interrupt_for(self, connection_file: str) -> None:
        """Interrupt for the frontend of a shim, unless it shuts its kernel down now."""
        called = ShimCalled(connection_file=connection_file)
        self._client.request("POST", "/kmux/shims/interrupt", called, into=type(None))


def running() -> Daemon:
    """Return the daemon, which is started if there is none. Raises as :func:`start`."""
    daemon = Daemon()
    try:
        daemon.status()
    except DaemonGone:
        with _one_after_the_other():
            try:
                daemon.status()
            except DaemonGone:
                start()
    return daemon


def revived() -> DaemonStatus | None:
    """Return the daemon's status. It is started where an earlier one has left sessions; None where
    there is nothing for it to do."""
    try:
        return Daemon().status()
    except DaemonGone:
        return running().status() if has_sessions() else None


@contextmanager
def _one_after_the_other() -> Iterator[None]:
    """Let only one of those who miss a daemon start it: that of many shims may have died."""
    lock = os.open(start_lock_file(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def start(*, takes_over: bool = False) -> DaemonStatus:
    """Start the daemon, and wait until it answers. It outlives this process and its terminal.

    With ``takes_over`` it takes the place of the one that runs. Raises :class:`ConfigError` where
    it does not come up.
    """
    daemon = Daemon()
    former = None
    if takes_over:
        with suppress(DaemonGone, DaemonSilent):
            former = daemon.status().pid
    with _launch(takes_over=takes_over) as said:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            answered = None
            with suppress(DaemonGone, DaemonSilent):
                status = daemon.status()
                if status.pid != former:
                    return status
                answered = status.pid
            # Another one, started at the same time, may have the lock, and come up.
            if said.ended() and (answered is not None or not is_locked()):
                break
            time.sleep(_LOOK_SECONDS)
        why = said.last_line() or f"it did not come up in {START_SECONDS:g} s; see {log_file()}"
    raise ConfigError(f"the daemon did not start: {why}")


class _Said:
    """What the daemon writes while it comes up. It keeps the pipe open for as long as it lives."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = b""
        os.set_blocking(descriptor, False)

    def ended(self) -> bool:
        """Read what there is. Returns whether there will be no more."""
        with suppress(BlockingIOError):
            while piece := os.read(self._descriptor, 4096):
                self._text += piece
            return True
        return False

    def last_line(self) -> str:
        lines = self._text.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("kmux: ") if lines else ""


@contextmanager
def _launch(*, takes_over: bool) -> Iterator[_Said]:
    import subprocess  # 5 ms

    command = [sys.executable, "-P", "-m", "proxy", "daemon", "serve"]
    if takes_over:
        command.append("--take-over")
    with open(os.devnull, "rb") as nothing:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _DETACH, *command],
            stdin=nothing,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
        )
    with process:
        process.wait()
        assert process.stdout is not None
        yield _Said(process.stdout.fileno())


def stop(*, sessions_too: bool = False) -> bool:
    """Have the daemon end. Returns whether there was one, or kernels that one has left."""
    try:
        Daemon().stop(sessions_too=sessions_too)
    except DaemonGone:
        if not (sessions_too and has_sessions()):
            return False
        start()
        Daemon().stop(sessions_too=True)
    return True


def environment() -> dict[str, str]:
    """Return what a daemon or a kernel is given: our environment, but for what Jupyter tells a
    kernel of the process that started it. One that outlives that would end with it."""
    passing = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "JPY_INTERRUPT_EVENT")
    return {key: value for key, value in os.environ.items() if key not in passing}


def wait_for_end(pid: int, seconds: float = STOP_SECONDS) -> None:
    """Wait until a process has ended. Raises :class:`ConfigError` where it does not."""
    deadline = time.monotonic() + seconds
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    try:
        if not select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise ConfigError(f"process {pid} does not end; see {lock_file()}")
    finally:
        os.close(pidfd)


def _of(name: str) -> str:
    return f"/kmux/sessions/{quote(name, safe='')}"
