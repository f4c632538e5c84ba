"""The daemon's task that keeps the pool full: one environment at a time, at rest.

Nobody waits for it, so nothing of it is an error of anybody's: what fails is tried again, after a
while that becomes longer, and is told by who asks (``kmux pool status``) and once by the log.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any

import msgspec
import trio

from proxy.environments import uv
from proxy.environments.pool import Pool
from proxy.environments.progress import Progress
from proxy.environments.store import Environment
from proxy.environments.wishes import Kind, PoolWish
from proxy.errors import KmuxError
from proxy.logs import log

BEGIN_SECONDS = 5.0
"""How long the machine is left to others after the daemon has started, and after one was taken:
then a kernel starts, and somebody waits for it."""
RETRY_SECONDS = 30.0
"""How long it takes until what failed is tried again; twice as long each time."""
MAX_RETRY_SECONDS = 600.0
LOOK_SECONDS = 60.0
"""How often it is looked whether one has become too old, or another process has taken one."""


class KindStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How it is about one kind."""

    kind: Kind
    wanted: int
    ready: int
    made: tuple[float, ...]
    """When each of those that are ready was, in seconds since 1970; the oldest first."""
    making: str | None
    """What is done to make another one at this moment."""
    problem: str | None
    """Why the latest one could not be made."""
    retry: float | None
    """When that is tried again, in seconds since 1970."""


class _Trouble(msgspec.Struct):
    problem: str
    reason: type
    retry_at: float
    """On trio's clock."""
    delay: float


async def _nothing(_: Any) -> None:
    pass


class Refilling:
    """Keeps one pool full, while :meth:`run` does."""

    def __init__(
        self,
        pool: Pool,
        *,
        keep_bytes: int = 0,
        in_use: Callable[[], Collection[str]] = tuple,
        made: Callable[[Environment], Awaitable[None]] = _nothing,
        leaving: Callable[[str], Awaitable[None]] = _nothing,
        begin_seconds: float = BEGIN_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Look after this pool.

        ``keep_bytes`` is how much all environments may have; 0: any. ``in_use`` returns the keys of
        those in which kernels run, or will when the daemon has found them again. ``made`` is
        awaited when one has been added, before the next one is made; ``leaving`` before one that
        waited is removed, which nobody takes any more by then.
        """
        self._pool = pool
        self._keep_bytes = keep_bytes
        self._in_use = in_use
        self._made = made
        self._leaving = leaving
        self._begin_seconds = begin_seconds
        self._retry_seconds = retry_seconds
        self._making: tuple[Kind, str] | None = None
        self._troubles: dict[str, _Trouble] = {}
        """Of each kind, and of what is done for all."""
        self._woken = trio.Event()
        self._hurried = trio.Event()
        self._rounds_awaited: list[trio.Event] = []

    # What others ask for

    def taken(self) -> None:
        """Note that one was taken: another one is made."""
        self._woken.set()

    async def warm(self) -> None:
        """Try at once, and wait until all is full or has failed."""
        for trouble in self._troubles.values():
            trouble.retry_at = trio.current_time()
        done = trio.Event()
        self._rounds_awaited.append(done)
        self._hurried.set()
        self._woken.set()
        await done.wait()

    async def flush(self, kind: Kind | None = None) -> int:
        """Throw away all that wait, and return how many. Others are made. Raises StoreError."""
        keys = [
            each.environment.key
            for wish in self._pool.wishes
            if kind in (None, wish.kind)
            for each in self._pool.waiting(wish.kind)
        ]
        count = await self._throw_away(keys)
        self._woken.set()
        return count

    def status(self) -> tuple[KindStatus, ...]:
        """Return how it is about each kind."""
        return tuple(self._status(wish) for wish in self._pool.wishes)

    def _status(self, wish: PoolWish) -> KindStatus:
        waiting = self._pool.waiting(wish.kind)
        trouble = self._troubles.get(wish.kind) if self._pool.missing(wish.kind) else None
        making = self._making if self._making is not None else ("", "")
        now = time.time() - trio.current_time()
        return KindStatus(
            kind=wish.kind,
            wanted=wish.size,
            ready=len(waiting),
            made=tuple(sorted(each.environment.manifest.created for each in waiting)),
            making=making[1] if making[0] == wish.kind else None,
            problem=trouble.problem if trouble is not None else None,
            retry=now + trouble.retry_at if trouble is not None else None,
        )

    # The task

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep it full until cancelled: what is being made by then is not, and leaves nothing."""
        task_status.started()
        try:
            await self._rest()
            while True:
                self._woken, self._hurried = trio.Event(), trio.Event()
                await self._fill()
                self._tell_who_waits()
                await self._await_work()
        finally:
            self._tell_who_waits()

    async def _rest(self) -> None:
        with trio.move_on_after(self._begin_seconds):
            await self._hurried.wait()

    async def _await_work(self) -> None:
        retries = [
            self._troubles[wish.kind].retry_at
            for wish in self._pool.wishes
            if wish.kind in self._troubles and self._pool.missing(wish.kind)
        ]
        with trio.move_on_at(min([trio.current_time() + LOOK_SECONDS, *retries])):
            await self._woken.wait()
            await self._rest()

    def _tell_who_waits(self) -> None:
        while self._rounds_awaited:
            self._rounds_awaited.pop().set()

    async def _fill(self) -> None:
        """Make what is missing, one after the other, but for what has failed just now."""
        made = 0
        await self._tried("sweep", self._sweep)
        await self._tried("tidy", self._tidy)
        while (kind := self._next()) is not None:
            made += await self._tried(kind, partial(self._make, kind))
            await self._tried("tidy", self._tidy)
        if made and self._keep_bytes:
            await self._tried("prune", self._prune)

    def _next(self) -> Kind | None:
        """Return the kind of which one is to be made: that with the fewest, if it may be tried."""
        now = trio.current_time()
        kinds = [
            wish.kind
            for wish in self._pool.wishes
            if self._pool.missing(wish.kind)
            and (wish.kind not in self._troubles or self._troubles[wish.kind].retry_at <= now)
        ]
        return min(kinds, key=lambda kind: len(self._pool.waiting(kind)), default=None)

    async def _make(self, kind: Kind) -> None:
        def tell(step: Progress) -> None:
            self._making = kind, step.line

        begun = trio.current_time()
        self._making = kind, "starting"
        try:
            environment = await self._pool.make(kind, uv.find(at_rest=True), tell)
        finally:
            self._making = None
        if environment is not None:
            seconds = round(trio.current_time() - begun, 1)
            log().info("pool.made", kind=kind, key=environment.key, seconds=seconds)
            await self._made(environment)

    # Looking after it

    async def _sweep(self) -> None:
        in_use = frozenset(self._in_use())
        await trio.to_thread.run_sync(self._pool.store.sweep)
        await trio.to_thread.run_sync(self._pool.sweep, in_use)

    async def _tidy(self) -> None:
        await self._throw_away(self._pool.unwanted())

    async def _throw_away(self, keys: Iterable[str]) -> int:
        count = 0
        for key in keys:
            if self._pool.retire(key):
                await self._leaving(key)
                await trio.to_thread.run_sync(self._pool.discard, key)
                log().info("pool.dropped", key=key)
                count += 1
        return count

    async def _prune(self) -> None:
        in_use = self._pool.in_use() | frozenset(self._in_use())
        await trio.to_thread.run_sync(self._pool.store.prune, self._keep_bytes, in_use)

    async def _tried(self, what: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it; whatever becomes of it, the task goes on."""
        try:
            await work()
        except KmuxError as error:
            self._failed(what, error, str(error))
        except Exception as bug:
            log().exception("internal.error", what="pool")
            self._failed(what, bug, "internal error; see the log")
        else:
            self._troubles.pop(what, None)
            return True
        return False

    def _failed(self, what: str, error: Exception, problem: str) -> None:
        before = self._troubles.get(what)
        delay = self._retry_seconds
        if before is not None:
            delay = min(2 * before.delay, max(MAX_RETRY_SECONDS, delay))
        if before is None or before.reason is not type(error):
            log().warning("pool.waits", what=what, why=problem)
        self._troubles[what] = _Trouble(
            problem=problem,
            reason=type(error),
            retry_at=trio.current_time() + delay,
            delay=delay,
        )
