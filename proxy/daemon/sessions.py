"""The daemon's sessions, by name: begun, found again, adopted, renamed, ended."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio
import zmq

from proxy.daemon import external
from proxy.daemon import state as states
from proxy.daemon.changes import Changes
from proxy.daemon.choosing import Chosen, Wanted, choose
from proxy.daemon.live import LiveSession
from proxy.daemon.registry import check_name, names_like, socket_path
from proxy.daemon.state import SessionDirectory, SessionState
from proxy.daemon.vocabulary import AUTO, Adoption, NewSession
from proxy.endpoints.unix_socket import is_served
from proxy.errors import Conflict, NotFound, StoreError
from proxy.handing_over import handed_over
from proxy.hosting import Host
from proxy.kernel_command import FROM_KERNELSPEC
from proxy.kernels import specs
from proxy.logs import log
from proxy.settings import Settings
from proxy.wire import connection

START_SECONDS = 30.0
"""How long somebody who asked for a session waits for its kernel; it goes on coming up."""
WATCH_SECONDS = 30.0
FIND_SECONDS = 0.3
"""Whoever asks at once is to hear that a kernel is busy, and not that it is yet to be found."""
HANG_UP_SECONDS = 0.08
"""How long frontends may take to notice. Who has connects again after a tenth of a second."""
LOOK_SECONDS = 0.002

if TYPE_CHECKING:
    from proxy.daemon.prewarming import Prewarming, Taken
    from proxy.kernels.warm import WarmKernel

T = TypeVar("T")
Early = dict[str, zmq.Socket[bytes]]


class Sessions:
    """All sessions of this daemon. :meth:`run` is their life."""

    def __init__(
        self,
        host: Host,
        settings: Settings,
        early: Early | None = None,
    ) -> None:
        """``early`` are subscriptions to the iopub of kernels that another daemon still has, by the
        ids of their sessions."""
        self._early = early or {}
        self._host = host
        self._settings = settings
        self.prewarming: Prewarming | None = None
        """What waits for notebooks that ask for nothing, once somebody looks after it."""
        self.changes = Changes()
        """Of all of them, for who looks."""
        self._by_name: dict[str, LiveSession] = {}
        self._beginning: set[str] = set()
        """Names of sessions that come up: taken, and not there yet."""
        self._finding = trio.Lock()
        self._nursery: trio.Nursery | None = None
        self.broken: dict[Path, str] = {}
        """Directories of sessions that cannot be gone on with, and why."""

    def all(self) -> list[LiveSession]:
        """All sessions, by name."""
        return sorted(self._by_name.values(), key=lambda live: live.name)

    def environments(self) -> list[str]:
        """Return the keys of the environments that kernels are in, also of broken sessions."""
        keys = [live.state.environment for live in self.all()]
        keys += [states.environment_of(directory) for directory in self.broken]
        return [key for key in keys if key]

    def __len__(self) -> int:
        return len(self._by_name)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Go on with the sessions of the last daemon, and have them live until cancelled."""
        async with trio.open_nursery() as self._nursery:
            for directory in states.known():
                await self._go_on_with(directory)
            while self._early:  # of sessions that cannot be gone on with
                self._early.popitem()[1].close()
            external.sweep(live.state.id for live in self.all())
            await self._find_kernels()
            task_status.started()
            while True:
                await trio.sleep(WATCH_SECONDS)
                self._watch()

    async def _find_kernels(self) -> None:
        """Wait a moment for the kernels of the last daemon to say what they do."""
        with trio.move_on_after(FIND_SECONDS):
            for live in self.all():
                await live.ready.wait()

    async def _go_on_with(self, directory: SessionDirectory) -> None:
        try:
            state = directory.read()
            if state.name in self._by_name:
                raise StoreError(f"there is another session {state.name!r}")
        except StoreError as error:
            log().error("session.unreadable", why=str(error), directory=str(directory.path))
            self.broken[directory.path] = str(error)
            return
        await self._begin(state, goes_on=True)

    def get(self, name: str) -> LiveSession:
        """Return a session. Raises :class:`NotFound`."""
        live = self._by_name.get(name)
        if live is None:
            raise NotFound(f"no session {name!r} runs; kmux ps lists those that do")
        return live

    async def new(self, wish: NewSession) -> LiveSession:
        """Begin a session, or find the one of this notebook.

        Returns when its kernel has answered. Raises as :meth:`begin`, and :class:`KernelGone`
        where the kernel does not start.
        """
        live, _ = await self.begin(wish)
        return await self.when_ready(live)

    async def begin(self, wish: NewSession) -> tuple[LiveSession, bool]:
        """Begin a session, or find the one of this notebook. Its kernel is yet to come up.

        Returns also whether it was begun, and so is nobody else's.

        Raises :class:`ConfigError` (:class:`Conflict` for a name that is taken) where it cannot be.
        """
        async with self._finding:  # two frontends may open a notebook at the same time
            found = self._find(wish)
            return found or await self._begin(*await self._planned(wish)), found is None

    def _find(self, wish: NewSession) -> LiveSession | None:
        if not wish.find or wish.notebook is None:
            return None
        for live in self._by_name.values():
            if live.state.notebook == wish.notebook and live.is_of(wish.kernel):
                return live
        return None

    async def _planned(self, wish: NewSession) -> tuple[SessionState, WarmKernel | None]:
        notebook = wish.notebook
        settings = self._settings
        kernel_name, env_source, language = wish.kernel, FROM_KERNELSPEC, ""
        agreed, chosen, taken = "", None, None
        if wish.kernel == AUTO:
            wanted = Wanted(notebook=notebook, cwd=wish.cwd, env=wish.env, trust=wish.trust)
            chosen = await choose(wanted, settings)
            kernel_name, env_source = chosen.kernel_name, chosen.env_source
            language, agreed = chosen.language, chosen.agreed
        else:
            language = (await trio.to_thread.run_sync(specs.find, wish.kernel)).language
        name = self._name_for(wish.name, Path(notebook).stem if notebook else kernel_name)
        if chosen is not None:  # from here on nothing fails: it would be nobody's
            taken = await self._taken(chosen, wish)
        waiting = taken.kernel if taken is not None else None
        state = SessionState(
            id=taken.ident if taken is not None and waiting else secrets.token_hex(6),
            name=name,
            environment=taken.environment.key if taken is not None else "",
            kernel_name=kernel_name,
            language=language,
            notebook=notebook,
            env_source=env_source,
            auto=wish.kernel == AUTO,
            trust=agreed,  # to another list, by the next restart, nobody has
            cwd=wish.cwd,
            env=wish.env,
            arguments=wish.arguments,
            created=time.time(),
            key=waiting.key if waiting else connection.new_key(),
            identity=waiting.identity if waiting else secrets.token_hex(8),
            restart=_or(wish.restart, settings.restart),
            prompts=_or(wish.prompts, settings.prompts),
            away_hours=_or(wish.away_hours, settings.away_hours),
            idle_timeout_hours=_or(wish.idle_timeout_hours, settings.idle_timeout_hours),
            max_age_hours=_or(wish.max_age_hours, settings.max_age_hours),
            record=_or(wish.record, settings.record),
            encrypt_kernel=wish.encrypt_kernel,
        )
        return state, waiting

    async def _taken(self, chosen: Chosen, wish: NewSession) -> Taken | None:
        """Take what waits for a notebook that asks for nothing."""
        kind = chosen.prewarmed
        if kind is None or self.prewarming is None:
            return None
        return await self.prewarming.take(
            kind,
            notebook=wish.notebook,
            variables=wish.env or os.environ,
            arguments=wish.arguments,
        )

    async def adopt(self, wish: Adoption) -> LiveSession:
        """Share a kernel that runs. Raises as :meth:`new`."""
        file = Path(wish.connection_file)
        found = await trio.to_thread.run_sync(connection.read, file)
        kernel_name = str(found.extra.get("kernel_name") or "kernel")
        name = self._name_for(wish.name, file.stem.removeprefix("kernel-"))
        state = SessionState(
            id=secrets.token_hex(6),
            name=name,
            kernel_name=kernel_name,
            created=time.time(),
            key=found.key,
            signature_scheme=found.signature_scheme,
            identity=secrets.token_hex(8),
            found=found,
            prompts=self._settings.prompts,
            away_hours=self._settings.away_hours,
            record=self._settings.record,
        )
        return await self.when_ready(await self._begin(state))

    async def stop(self, name: str) -> int | None:
        """End a session and its kernel. Returns the exit status. Raises :class:`NotFound`."""
        live = self.get(name)
        live.stop()
        await live.ended.wait()
        return live.exit_status

    async def stop_all(self) -> None:
        """End all sessions and their kernels."""
        async with trio.open_nursery() as nursery:
            for name in tuple(self._by_name):
                nursery.start_soon(self.stop, name)

    async def leave(self) -> None:
        """Write down what is on its way, for the next daemon: this one is to be cancelled now.

        Frontends are told to send nothing more, and what they have sent is taken in: libzmq would
        drop what it has received and nobody has read.
        """
        self._host.sockets.settle()
        endpoints = [each for live in self._by_name.values() for each in live.endpoints]
        for endpoint in endpoints:
            endpoint.hush()
        await handed_over(self._host.context, self._host.sockets)
        for endpoint in endpoints:
            endpoint.hang_up()
        with trio.move_on_after(HANG_UP_SECONDS):
            while any(each.is_connected for each in endpoints):  # noqa: ASYNC110 (no event tells)
                await trio.sleep(LOOK_SECONDS)
        self._host.sockets.settle()
        for live in self._by_name.values():
            live.ports.stop_listening()
        self._host.sockets.settle()
        for live in self._by_name.values():
            live.leave()

    async def rename(self, name: str, new: str) -> LiveSession:
        """Call a session, and its record, otherwise. Raises as :meth:`new`, :class:`StoreError`."""
        live = self.get(name)
        self.check_name(new)
        self._beginning.add(new)
        try:
            await live.rename(new)
        finally:
            self._beginning.discard(new)
        del self._by_name[name]
        self._by_name[new] = live
        self.changes.note(live.state.id)
        return live

    def check_name(self, name: str) -> None:
        """Raise :class:`ConfigError` where this cannot be a name, :class:`Conflict` if it is."""
        check_name(name)
        if self._is_taken(name):
            raise Conflict(f"a session {name!r} runs already; choose another name, or see kmux ps")

    def _is_taken(self, name: str) -> bool:
        here = name in self._by_name or name in self._beginning
        return here or is_served(socket_path(name))

    def _name_for(self, name: str | None, like: str) -> str:
        """Return a name that is free: this one, or one that is like another."""
        if name is not None:
            self.check_name(name)
            return name
        free = next((each for each in names_like(like) if not self._is_taken(each)), None)
        if free is None:
            raise Conflict(f"a thousand sessions are called {like!r}; choose another name")
        return free

    async def when_ready(self, live: LiveSession) -> LiveSession:
        """Wait a while for its kernel. Raises why there will be none."""
        with trio.move_on_after(START_SECONDS):
            await live.ready.wait()
        if live.gone is not None:
            raise live.gone
        return live

    async def _begin(
        self, state: SessionState, waiting: WarmKernel | None = None, *, goes_on: bool = False
    ) -> LiveSession:
        assert self._nursery is not None
        early = self._early.pop(state.id, None)
        live = LiveSession(
            self._host,
            state,
            self._settings,
            goes_on=goes_on,
            early=early,
            waiting=waiting,
            prewarming=lambda: self.prewarming,
            stirred=partial(self.changes.note, state.id),
        )
        self._beginning.add(state.name)
        try:
            await self._nursery.start(self._live, live)
        finally:
            self._beginning.discard(state.name)
        if not live.ended.is_set():
            self._by_name[live.name] = live
            self.changes.note(state.id)
        elif live.failure is not None and not goes_on:
            raise live.failure
        return live

    async def _live(self, live: LiveSession, task_status: trio.TaskStatus[None]) -> None:
        await live.run(task_status=task_status)
        if self._by_name.get(live.name) is live:
            del self._by_name[live.name]
            self.changes.note(live.state.id)

    def _watch(self) -> None:
        """End the sessions whose time is over."""
        now = time.time()
        for live in tuple(self._by_name.values()):
            live.directory.kernel.bound_output()
            why = live.is_overdue(now)
            if why is not None:
                log().info("session.overdue", session=live.name, why=why)
                live.stop()


def _or(wish: T | None, default: T) -> T:
    return default if wish is None else wish
