"""The connection files of frontends on which sessions are served, and the shims that asked for it.

A shim stands for the kernel in its frontend's eyes, and holds a connection for as long as the
frontend wants one. What becomes of the ports of its file:

    the frontend says goodbye, or the shim hangs up     they are taken away
    it restarts its kernel, and the shim ends           they are kept for the next shim
    the daemon ends or dies                             the next daemon binds them again
    another shim asks for the same file                 it has them; the first one is told
    nobody takes up what was kept                       taken away after a while

Of two shims of one file the later one is right: a frontend starts its kernel again without waiting
for the last one to be gone.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import trio

from proxy.daemon.live import LiveSession
from proxy.daemon.session_ports import Parting
from proxy.daemon.sessions import Sessions
from proxy.daemon.vocabulary import ShimNews, ShimRequest
from proxy.errors import ConfigError, Conflict, KmuxError, NotFound, kind_of
from proxy.kernels.ports import kept_free
from proxy.session.lifecycle import State
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

KEEP_SECONDS = 10.0
"""jupyter_client launches the next one within a second, a loaded machine later."""
WATCH_SECONDS = 5.0
PORTS_SECONDS = 2.0
"""How long a port that was just given back may still be taken: libzmq closes it behind us."""
_LOOK_SECONDS = 0.02
MAX_REMEMBERED = 1000
"""Files of shims that were killed; their frontends may come back with the same ones."""
MAX_NEWS = 4


class Shim:
    """A shim that is connected: iterate for its news, as JSON lines, until the last one."""

    def __init__(self, shims: Shims, file: str, live: LiveSession) -> None:
        self.file = file
        self.live = live
        self.tag = b""
        self.how: Parting | None = None
        """How it parted; None: it hung up."""
        self._shims = shims
        self._send, self._receive = trio.open_memory_channel[ShimNews](MAX_NEWS)

    def attached(self, problem: str) -> None:
        """It is served now."""
        self._send.send_nowait(ShimNews(event="attached", name=self.live.name, problem=problem))

    def parted(self, how: Parting) -> None:
        """It is over, for its frontend or for all."""
        live = self.live
        self.how = how
        problem, reason = "", ""
        if how == "ended" and live.failure is not None:
            problem, reason = str(live.failure), kind_of(live.failure)
        self._last(
            ShimNews(
                event=how, name=live.name, status=live.exit_status, problem=problem, reason=reason
            )
        )

    def replaced(self) -> None:
        """Another one has its ports now."""
        self._last(ShimNews(event="replaced", name=self.live.name))

    def moving(self) -> None:
        """The next daemon will have its ports."""
        self.how = "restart"
        self._last(ShimNews(event="moving", name=self.live.name))

    def _last(self, news: ShimNews) -> None:
        try:
            self._send.send_nowait(news)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            return  # it has had its last one
        self._send.close()

    def __aiter__(self) -> Shim:
        return self

    async def __anext__(self) -> bytes:
        try:
            news = await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        return msgspec.json.encode(news) + b"\n"

    async def aclose(self) -> None:
        """It was told the last, or hung up."""
        self._receive.close()
        self._send.close()
        self._shims.left(self)


class Shims:
    """All shims of this daemon. :meth:`run` takes away the ports that nobody comes back for."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._connected: dict[str, Shim] = {}
        self._remembered: dict[str, str] = {}
        """Files of shims that hung up, and the id of the session that each had."""
        self._forsaken: dict[str, float] = {}
        """Files whose ports are kept, and since when."""
        self._none_left = trio.Event()

    async def run(self) -> None:
        """Take away, until cancelled, what nobody comes back for."""
        while True:
            await trio.sleep(WATCH_SECONDS)
            self.release_forsaken(time.time())

    async def attach(self, wish: ShimRequest) -> Shim:
        """Serve a session on a frontend's ports, before its kernel is ready.

        Raises :class:`NotFound` where there is no such session, what :meth:`Sessions.begin` does,
        and :class:`ConfigError` where a port is taken or the file is no good.
        """
        live = self._session_before(wish)
        if live is None and wish.new is None:
            raise NotFound("the session has ended; start a kernel to begin another one")
        served = live.ports.shim(wish.connection_file) if live is not None else None
        if served is not None and wish.new is None and wish.name is None:
            info = served.info  # a shim goes on from another daemon: it may outlive the file
        else:
            info = connection.read(Path(wish.connection_file))
        with kept_free(info):
            if live is not None:
                return await self._serve(wish, info, live)
            assert wish.new is not None
            live, is_new = await self._sessions.begin(wish.new)
            try:
                return await self._serve(wish, info, live)
            except KmuxError:
                if is_new and not live.ports.shims():
                    live.stop()  # it was begun for this frontend
                raise

    async def _serve(self, wish: ShimRequest, info: ConnectionInfo, live: LiveSession) -> Shim:
        problem = _restart(live) if wish.restart else ""
        if live.hosted.runner.session.machines.lifecycle.state is State.DEAD:
            live.restart()  # a frontend starts its kernel: it wants one that lives
        shim = Shim(self, wish.connection_file, live)
        former = self._connected.get(shim.file)
        self._connected[shim.file] = shim
        if former is not None:
            former.replaced()
            if former.live is not live:
                former.live.ports.detach(former.tag)
        try:
            await self._bind(shim, info, wish.owner_pid)
        except BaseException:
            self._forget(shim)
            raise
        self._forsaken.pop(shim.file, None)
        shim.attached(problem or live.problem)
        if live.ended.is_set():  # meanwhile
            shim.parted("ended")
        return shim

    def _session_before(self, wish: ShimRequest) -> LiveSession | None:
        """Return the session that a frontend names, or that is or was served on its file, if that
        is what it wants. Raises :class:`NotFound`, the first only."""
        if wish.name is not None:
            return self._sessions.get(wish.name)
        file, new = wish.connection_file, wish.new
        for live in self._sessions.all():
            if live.ports.shim(file) is not None:
                if new is not None:
                    live.belongs_to(new.notebook)
                return live
        for live in self._sessions.all():
            state = live.state
            if self._remembered.get(file) == state.id:
                wanted = new is None or (live.is_of(new.kernel) and new.notebook == state.notebook)
                return live if wanted else None
        return None

    async def _bind(self, shim: Shim, info: ConnectionInfo, owner_pid: int) -> None:
        deadline = trio.current_time() + PORTS_SECONDS
        while True:
            try:
                shim.tag = shim.live.ports.attach_shim(shim.file, info, owner_pid, shim.parted)
            except Conflict:
                if trio.current_time() > deadline:
                    raise
            else:
                return
            await trio.sleep(_LOOK_SECONDS)
            if self._connected.get(shim.file) is not shim:
                raise Conflict("another kmux shim serves on this connection file by now")

    def left(self, shim: Shim) -> None:
        """A shim hung up, or has been told the last."""
        if not self._forget(shim):
            return  # another one has its ports
        if shim.how == "restart":
            self._forsaken[shim.file] = time.time()
        elif not shim.live.ended.is_set():
            shim.live.ports.detach(shim.tag)
        self._remembered.pop(shim.file, None)
        if shim.how is None:
            self._remember(shim.file, shim.live)

    def _forget(self, shim: Shim) -> bool:
        """It is connected no more. Returns whether nobody else has taken its place."""
        if self._connected.get(shim.file) is not shim:
            return False
        del self._connected[shim.file]
        if not self._connected:
            self._none_left.set()
        return True

    def _remember(self, file: str, live: LiveSession) -> None:
        self._remembered[file] = live.state.id
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def release_forsaken(self, now: float) -> None:
        """Take away the ports that nobody has come back for, also those of the last daemon."""
        forsaken: dict[str, float] = {}
        for live in self._sessions.all():
            for endpoint in live.ports.shims():
                if endpoint.file in self._connected:
                    continue
                since = self._forsaken.get(endpoint.file, now)
                if now - since < KEEP_SECONDS:
                    forsaken[endpoint.file] = since
                else:
                    live.ports.detach(endpoint.tag.encode())
                    self._remember(endpoint.file, live)
        self._forsaken = forsaken

    async def end(self) -> None:
        """Tell all that the daemon ends, and return when they have heard it."""
        while self._connected:
            self._none_left = trio.Event()
            for shim in tuple(self._connected.values()):
                shim.moving()  # the ones that were told another end had that as their last
            await self._none_left.wait()

    def interrupt(self, file: str) -> None:
        """Interrupt the kernel, unless the frontend shuts it down now. Raises :class:`NotFound`."""
        shim = self._connected.get(file)
        if shim is None:
            raise NotFound(f"no kmux shim serves on {file}")
        shim.live.hosted.runner.interrupt(shim.tag)


def _restart(live: LiveSession) -> str:
    """Restart for a frontend, which starts its kernel again. Returns why not."""
    if live.state.restart == "refuse":
        return "it was not restarted: nobody may do that by a frontend"
    try:
        live.restart()
    except ConfigError as error:
        return f"it was not restarted: {error}"
    return ""
