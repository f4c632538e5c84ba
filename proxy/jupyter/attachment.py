"""A session on a frontend's ports, had from the daemon: what the shim and the provisioner are.

The daemon serves on the frontend's connection file for as long as it is not hung up on. Where it
is the daemon that hangs up, the next one is asked, which may have to be started first; for the
same session only, since whoever ends all sessions does not want to see new ones.

Imported by every shim: it must stay small.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

import msgspec

from proxy.daemon import client
from proxy.daemon.client import Daemon
from proxy.daemon.http_client import Lines
from proxy.daemon.vocabulary import NewSession, ShimNews, ShimRequest
from proxy.errors import Conflict, DaemonGone, DaemonSilent, KmuxError, NotFound, of_kind

MOVE_SECONDS = 5.0
"""How long a daemon that has announced its end may take to be followed by another one."""
RETURN_SECONDS = 60.0
"""After which a daemon that cannot be started is given up, and the kernel with it."""
_STILL_THERE_SECONDS = 0.1
"""How long a daemon that has announced its end may go on to answer."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 1.0
"""Until it is tried again."""
_NOT_THE_KERNELS = ("JPY_PARENT_PID", "JPY_INTERRUPT_EVENT")
"""A kernel that knew these would end with the frontend that it is to outlive."""


class Attachment:
    """One connection file that is served. :meth:`open` it once; what the end was is told by
    :attr:`outcome`."""

    def __init__(self, wish: ShimRequest) -> None:
        self.name = ""
        """The session's, when it was opened."""
        self.problem = ""
        """What a person should know of it, then."""
        self.outcome: ShimNews | KmuxError | None = None
        self._wish = wish
        self._closed = False
        self._news: Lines[ShimNews] | None = None
        self._connection = ExitStack()

    def open(self, over: Callable[[], None]) -> None:
        """Have it served; ``over`` is called when it is not any more, in another thread.

        Raises :class:`KmuxError` where it cannot be served.
        """
        try:
            self._ask(self._wish)
        except DaemonGone:
            client.running()
            self._ask(self._wish)

        def follow() -> None:
            try:
                self.outcome = self._last_news()
            except KmuxError as error:
                self.outcome = error
            self._connection.close()
            over()

        threading.Thread(target=follow, name="kmux attachment", daemon=True).start()

    def close(self) -> None:
        """Have it served no more. The session goes on."""
        self._closed = True
        if self._news is not None:
            self._news.hang_up()

    def interrupt(self) -> None:
        """Interrupt the kernel, unless the frontend shuts it down within a tenth of a second."""
        Daemon().interrupt_for(self._wish.connection_file)

    def _ask(self, wish: ShimRequest) -> None:
        self._connection.close()
        self._news = self._connection.enter_context(Daemon().shim(wish))
        attached = next(self._news, None)
        if attached is None:
            raise DaemonSilent("the daemon hung up without an answer; its log may say why")
        self.name, self.problem = attached.name, attached.problem

    def _last_news(self) -> ShimNews:
        """Wait for the end, over any change of daemons. Raises :class:`KmuxError`."""
        while True:
            last: ShimNews | None = None
            with suppress(DaemonSilent):
                assert self._news is not None
                for news in self._news:
                    last = news
            if self._closed:
                return ShimNews(event="goodbye", name=self.name)
            if last is not None and last.event != "moving":
                return last
            self._ask_again(0.0 if last is None else MOVE_SECONDS)

    def _ask_again(self, patience: float) -> None:
        """Find the daemon that goes on; start one, if there is none after ``patience`` seconds."""
        wish = ShimRequest(
            connection_file=self._wish.connection_file, owner_pid=self._wish.owner_pid
        )
        if patience:
            time.sleep(_STILL_THERE_SECONDS)
        began, pause = time.monotonic(), _SHORTEST_SECONDS
        while not self._closed:
            waited = time.monotonic() - began
            try:
                if waited >= patience:
                    client.running()
                self._ask(wish)
            except (NotFound, Conflict):
                raise
            except KmuxError:
                if waited > RETURN_SECONDS:
                    raise
            else:
                return
            time.sleep(pause)
            if waited >= patience:
                pause = min(2 * pause, _LONGEST_SECONDS)


def exit_status(outcome: ShimNews | KmuxError | None) -> int:
    """Return what a process that stands for the kernel ends with, as a shell has it."""
    if isinstance(outcome, KmuxError):
        return outcome.exit_code
    if outcome is None or outcome.event != "ended" or outcome.status is None:
        return 0
    return outcome.status if outcome.status >= 0 else 128 - outcome.status


def failure(outcome: ShimNews | KmuxError | None) -> KmuxError | None:
    """Return what went wrong, if anything did."""
    if isinstance(outcome, ShimNews):
        return of_kind(outcome.reason, outcome.problem) if outcome.reason else None
    return outcome


def new_session(
    kernel: str,
    connection_file: str,
    environment: Mapping[str, str],
    cwd: str,
    arguments: tuple[str, ...] = (),
) -> NewSession:
    """Return the session that a frontend wants: the one of its notebook, where it says which."""
    return NewSession(
        kernel=kernel,
        notebook=_notebook(environment, connection_file),
        find=True,
        cwd=cwd,
        env={name: value for name, value in environment.items() if name not in _NOT_THE_KERNELS},
        arguments=arguments,
    )


def _notebook(environment: Mapping[str, str], connection_file: str) -> str | None:
    """Return the path of the notebook, or other file, that a frontend starts a kernel for.

    jupyter_server says so since 2.0. Its consoles have names that look like paths.
    """
    path = environment.get("JPY_SESSION_NAME") or _jupyter_session(connection_file)
    return path if os.path.isabs(path) and os.path.isfile(path) else None


class _File(msgspec.Struct, frozen=True):
    jupyter_session: str = ""


def _jupyter_session(connection_file: str) -> str:
    try:
        with open(connection_file, "rb") as file:
            return msgspec.json.decode(file.read(), type=_File).jupyter_session
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""  # the daemon says what is wrong with it
