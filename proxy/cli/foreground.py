"""``kmux run`` on the daemon: its session is shown here, and goes on when this ends."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from proxy.cli import steps
from proxy.daemon import client
from proxy.daemon.client import Daemon
from proxy.daemon.vocabulary import AUTO, AttachRequest, NewSession, SessionInfo
from proxy.display import SECOND_INTERRUPT_SECONDS, Display
from proxy.errors import Conflict, DaemonGone, DaemonSilent, NotFound

LOOK_SECONDS = 0.5

Wait = Callable[[float], bool]


def share(asked: NewSession, *, any_kernel: bool, replay: bool, trust: bool) -> None:
    """Have this session in the daemon, or find it there, and show who comes and goes.

    Returns when it has ended, or Ctrl-C was pressed twice. Raises :class:`Conflict` where there is
    one of this name with another kernel, and not ``any_kernel`` will do.
    """
    display = Display(click.echo)
    daemon = client.running()
    session = _found(daemon, asked, any_kernel) or steps.told(asked, trust=trust)
    replay_file = None
    if replay:
        attached = daemon.attach(session.name, AttachRequest(kind="replay"))
        replay_file = attached.connection_file
    with _ctrl_c_awaited() as wait:
        display.started(session, replay_file, twice="leaves it to the daemon")
        _follow(session, display, wait)


def _found(daemon: Daemon, asked: NewSession, any_kernel: bool) -> SessionInfo | None:
    if asked.name is None:
        return None
    try:
        session = daemon.session(asked.name)
    except NotFound:
        return None
    is_it = session.auto if asked.kernel == AUTO else session.kernel == asked.kernel
    if not is_it and not any_kernel:
        raise Conflict(
            f"session {session.name!r} runs already, with kernel {session.kernel}; choose another "
            f"--name, or leave --kernel {asked.kernel} out"
        )
    return session


def _follow(session: SessionInfo, display: Display, wait: Wait) -> None:
    name, last = session.name, float("-inf")
    follower = _Follower(name, display)
    while follower.look():
        if not wait(LOOK_SECONDS):
            continue
        if time.monotonic() - last < SECOND_INTERRUPT_SECONDS:
            return display.left(name)
        last = time.monotonic()
        client.running().interrupt(name)
        display.interrupted("leave")
    return display.ended(name)


class _Follower:
    """Tells what is new about a session since the last look."""

    def __init__(self, name: str, display: Display) -> None:
        self._name = name
        self._display = display
        self._clients: set[tuple[str, str]] = set()
        self._problem = ""

    def look(self) -> bool:
        """Whether it still runs. A daemon that is gone is started again: it goes on with it."""
        try:
            daemon = Daemon()
            session = daemon.session(self._name)
            clients = {(each.name, each.since) for each in daemon.clients(self._name)}
        except DaemonGone:
            client.start()
            return True
        except DaemonSilent:  # it is being replaced
            return True
        except NotFound:
            return False
        for what, some in (
            ("attached", clients - self._clients),
            ("left", self._clients - clients),
        ):
            for name, _ in sorted(some):
                self._display.client(what, name, len(clients))
        if session.problem and session.problem != self._problem:
            self._display.problem(session.problem)
        self._clients, self._problem = clients, session.problem
        return True


@contextmanager
def _ctrl_c_awaited() -> Iterator[Wait]:
    """Have Ctrl-C interrupt nothing but a wait, which says then that it was pressed."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def pressed(number: int, frame: FrameType | None) -> None:
        """The system has written a byte for it."""

    def wait(seconds: float) -> bool:
        return bool(select.select([reader], [], [], seconds)[0] and os.read(reader, 1))

    before = signal.signal(signal.SIGINT, pressed)
    signal.set_wakeup_fd(writer)
    try:
        yield wait
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, before)
        os.close(reader)
        os.close(writer)
