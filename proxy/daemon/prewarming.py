"""The daemon's pool: environments that wait for notebooks that ask for none, a kernel in each.

A session that takes one has it for itself, and the kernel's directory and key become its own. The
kernels begin with the variables of whoever asked last, since some are read at a start and never
again (``hindrances.py``): who asks with others gets a fresh kernel in the environment, and the
kernels that wait are started anew.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import msgspec
import trio

from proxy.bell import Bell
from proxy.daemon import state as states
from proxy.daemon.state import SessionDirectory
from proxy.daemon.vocabulary import PoolKind, PoolStatus, timestamp
from proxy.environments.pool import Pool
from proxy.environments.preparation import in_environment
from proxy.environments.refilling import BEGIN_SECONDS, KindStatus, Refilling
from proxy.environments.store import Environment
from proxy.environments.wishes import Kind
from proxy.errors import KmuxError
from proxy.kernels import warm
from proxy.kernels.hindrances import hindrance
from proxy.kernels.warm import WarmKernel, warm_up
from proxy.logs import log
from proxy.settings import Settings
from proxy.wire import connection

RETRY_SECONDS = 60.0
"""Until a kernel that could not be started is tried again."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a session gets."""

    environment: Environment
    ident: str = ""
    """The id that the session is to have, where a kernel waits in its directory."""
    kernel: WarmKernel | None = None


class _Waiting(msgspec.Struct, frozen=True):
    ident: str
    kernel: WarmKernel


class Prewarming:
    """Looks after the pool while :meth:`run` does."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        self.pool = pool
        self._in_use: Callable[[], Collection[str]] = tuple
        self._with_kernels = settings.pool_kernels
        self._refilling = Refilling(
            pool,
            keep_bytes=settings.keep_environment_bytes,
            in_use=lambda: tuple(self._in_use()),
            made=self._was_made,
            leaving=self._leaves,
        )
        self._waiting: dict[str, _Waiting] = {}
        """By the keys of their environments."""
        self._failed: dict[str, float] = {}
        """When each kernel that could not be started may be tried again, on trio's clock."""
        self._variables: Mapping[str, str] = dict(os.environ)
        self._bell = Bell()
        self._hurry = trio.Event()
        self._rounds_awaited: list[trio.Event] = []
        self._nursery: trio.Nursery | None = None

    async def run(self, in_use: Callable[[], Collection[str]]) -> None:
        """Keep it full until cancelled. Kernels that nobody has taken end then.

        ``in_use`` returns the keys of the environments that sessions have. Raises nothing: sessions
        go on without a pool.
        """
        self._in_use = in_use
        try:
            await self._run()
        except Exception:
            log().exception("internal.error", what="pool")

    async def _run(self) -> None:
        warm.sweep(each.kernel for each in states.prewarmed())
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._refilling.run)
            try:
                await self._keep_kernels()
            finally:
                for waiting in self._waiting.values():
                    await waiting.kernel.end()

    # For sessions

    async def take(
        self,
        kind: Kind,
        *,
        notebook: str | None,
        variables: Mapping[str, str],
        arguments: Sequence[str] = (),
    ) -> Taken | None:
        """Take an environment for a session, with its kernel if that fits; None where none waits.

        A notebook that has installed something into its own gets that again. Raises
        :class:`StoreError`.
        """
        own = self.pool.own(notebook, kind) if notebook is not None else None
        if own is not None:
            return Taken(environment=own)
        suited = [
            key
            for key, each in self._waiting.items()
            if self._hindrance(key, each.kernel, variables, arguments) is None
        ]
        environment = self.pool.take(kind, notebook=notebook, prefer=suited)
        if environment is None:
            return None
        self._refilling.taken()
        self._bell.ring()
        waiting = self._waiting.pop(environment.key, None)
        if waiting is None:
            return Taken(environment=environment)
        if environment.key in suited:
            return Taken(environment=environment, ident=waiting.ident, kernel=waiting.kernel)
        why = self._hindrance(environment.key, waiting.kernel, variables, arguments)
        log().info("kernel.started_fresh", why=why)
        if not any("\0" in text for pair in variables.items() for text in pair):
            self._variables = dict(variables)
        await waiting.kernel.end()
        return Taken(environment=environment)

    def _hindrance(
        self,
        key: str,
        kernel: WarmKernel,
        variables: Mapping[str, str],
        arguments: Sequence[str] = (),
    ) -> str | None:
        if not kernel.is_alive:
            return "it has ended"
        environment = self.pool.store.find(key)
        if environment is None:
            return "its environment is gone"
        wanted = in_environment(environment).environment(variables)
        return hindrance(kernel.started_with, wanted, arguments)

    async def given_back(self, key: str) -> None:
        """A session is over that had this environment, of the pool or not."""
        with trio.CancelScope(shield=True):
            try:
                await trio.to_thread.run_sync(self.pool.given_back, key)
            except (KmuxError, OSError) as error:
                log().warning("pool.not_given_back", key=key, why=str(error))

    # For people

    def status(self) -> PoolStatus:
        """Say how it is about it."""
        return PoolStatus(kinds=[self._status(each) for each in self._refilling.status()])

    def _status(self, status: KindStatus) -> PoolKind:
        keys = {each.environment.key for each in self.pool.waiting(status.kind)}
        return PoolKind(
            kind=status.kind,
            wanted=status.wanted,
            ready=status.ready,
            kernels=sum(
                waiting.kernel.is_alive for key, waiting in self._waiting.items() if key in keys
            ),
            oldest=timestamp(status.made[0]) if status.made else None,
            making=status.making,
            problem=status.problem,
            retry=timestamp(status.retry) if status.retry is not None else None,
        )

    async def warm(self) -> None:
        """Fill it at once, and return when it is full or that has failed."""
        await self._refilling.warm()
        self._failed.clear()
        done = trio.Event()
        self._rounds_awaited.append(done)
        self._hurry.set()
        self._bell.ring()
        await done.wait()

    async def flush(self) -> int:
        """Throw away what waits, and return how many environments. Others are made."""
        return await self._refilling.flush()

    # Kernels

    async def _was_made(self, environment: Environment) -> None:
        self._bell.ring()

    async def _leaves(self, key: str) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            await waiting.kernel.end()

    async def _keep_kernels(self) -> None:
        """Have a kernel in each environment that waits: one comes up at a time."""
        while True:
            with trio.move_on_after(BEGIN_SECONDS):  # others come first
                await self._hurry.wait()
            awaited, self._rounds_awaited = self._rounds_awaited, []
            if self._with_kernels:
                try:
                    await self._fill()
                except Exception:  # nobody's: the daemon goes on
                    log().exception("internal.error", what="pool")
            for done in awaited:
                done.set()
            if not self._rounds_awaited:
                self._hurry = trio.Event()
            with trio.move_on_after(RETRY_SECONDS):
                await self._bell.wait()

    async def _fill(self) -> None:
        await self._replace_unsuited()
        for key in self._without_kernel():
            if self._failed.get(key, 0.0) <= trio.current_time():
                await self._start_in(key)

    def _without_kernel(self) -> list[str]:
        """Return the keys of the environments that wait alone, the next to be taken first."""
        with suppress(KmuxError):
            waiting = [
                each.environment.key
                for wish in self.pool.wishes
                for each in self.pool.waiting(wish.kind)
                if each.is_fresh
            ]
            return [key for key in waiting if key not in self._waiting]
        return []

    async def _replace_unsuited(self) -> None:
        for key, waiting in tuple(self._waiting.items()):
            if self._hindrance(key, waiting.kernel, self._variables) is not None:
                await self._leaves(key)

    async def _start_in(self, key: str) -> None:
        environment = self.pool.store.find(key)
        if environment is None:
            return
        assert self._nursery is not None
        command = in_environment(environment)
        ident = secrets.token_hex(6)
        try:
            kernel = await warm_up(
                self._nursery,
                command,
                SessionDirectory(ident).kernel,
                env=command.environment(self._variables),
                key=connection.new_key(),
                identity=secrets.token_hex(8),
            )
        except (KmuxError, OSError, ValueError) as error:
            self._failed[key] = trio.current_time() + RETRY_SECONDS
            log().warning("pool.waits", kind=environment.manifest.manager, why=str(error))
            return
        if key in self._without_kernel():
            self._waiting[key] = _Waiting(ident, kernel)
            log().info("kernel.prewarmed", key=key)
        else:  # it was taken meanwhile
            await kernel.end()
