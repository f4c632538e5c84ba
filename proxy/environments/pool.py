"""Environments that were made before anybody asked, each for who comes first.

They are environments of the store, but each has a key of its own, since who took one may install
into it. Whose one is says its record (``pool_records``). None is used that is not complete: the
store has it whole or not at all, and it waits only then.

One is taken for a session, and given back when that has ended. It never waits again: another
notebook would get what this one left. Where nothing was installed into it, it is removed; otherwise
it is kept for the notebook, which gets it again.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from proxy.environments import conda, conda_apart, uv_environments
from proxy.environments.contents import contents_of
from proxy.environments.pool_records import Record, Records
from proxy.environments.progress import Tell
from proxy.environments.store import Environment, Store
from proxy.environments.uv import Uv
from proxy.environments.uv_environments import UvNeed
from proxy.environments.wishes import Kind, PoolWish
from proxy.errors import EnvironmentFailed, KmuxError, NotFound, Unreachable
from proxy.logs import log

DAY_SECONDS = 86_400.0
_FILLING = "pool"
"""Who fills it has this lock of the store: two daemons make no more than one."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One that may be taken."""

    environment: Environment
    is_fresh: bool
    """One that is not is taken all the same, where there is no other: without a network it is what
    there is until another one can be made."""


class Pool:
    """What waits, and what was taken. Any number of processes may use the same one.

    All that is not ``async`` looks at some files, or renames one; what may take a tenth of a second
    says so, and is for a thread. Each raises :class:`StoreError` where the disk does not let it.
    """

    def __init__(
        self,
        store: Store,
        wishes: Iterable[PoolWish],
        *,
        days: float = 2.0,
        packages: Path | None = None,
        place: str = "",
    ) -> None:
        """``days``: how old one may be to be fresh; 0: any age. ``packages`` is conda's cache.
        ``place`` as :class:`Records` has it."""
        self._store = store
        self._wishes = {wish.kind: wish for wish in wishes}
        self._fresh_seconds = days * DAY_SECONDS
        self._packages = packages
        self._records = Records(store.root / "pool", place)

    @property
    def store(self) -> Store:
        """Where the environments are."""
        return self._store

    @property
    def wishes(self) -> Collection[PoolWish]:
        """What is wanted."""
        return self._wishes.values()

    # Looking

    def waiting(self, kind: Kind) -> list[Waiting]:
        """Return those of which one may be taken: what is wanted, the one to be taken next first.

        That is the oldest, so that none becomes too old for want of takers.
        """
        wish = self._wishes[kind]
        found = []
        for key, record in self._records.waiting().items():
            if record.kind == kind and record.made_for == wish.made_for:
                environment = self._store.find(key)
                if environment is not None:
                    fresh = self._is_fresh(environment)
                    found.append(Waiting(environment=environment, is_fresh=fresh))
        return sorted(found, key=lambda w: (not w.is_fresh, w.environment.manifest.created))

    def _is_fresh(self, environment: Environment) -> bool:
        if self._fresh_seconds == 0:
            return True
        # From tomorrow it is where the clock was wrong.
        return abs(time.time() - environment.manifest.created) < self._fresh_seconds

    def missing(self, kind: Kind) -> int:
        """Return how many are to be made."""
        fresh = sum(each.is_fresh for each in self.waiting(kind))
        return max(0, self._wishes[kind].size - fresh)

    def unwanted(self) -> list[str]:
        """Return the keys of those that wait for nothing.

        They were made for other settings, are broken, or are more than are wanted, of which the
        oldest go: so one that is too old goes when there is another one.
        """
        wanted: set[str] = set()
        for wish in self.wishes:
            youngest_first = sorted(
                (each.environment for each in self.waiting(wish.kind)),
                key=lambda environment: -environment.manifest.created,
            )
            wanted |= {environment.key for environment in youngest_first[: wish.size]}
        return [key for key in self._records.waiting() if key not in wanted]

    def in_use(self) -> frozenset[str]:
        """Return the keys of those that wait, and of those that somebody has who lives."""
        taken = self._records.taken()
        return frozenset(self._records.waiting()) | {key for key, lives in taken.items() if lives}

    # Taking and giving back

    def take(
        self, kind: Kind, *, notebook: str | None = None, prefer: Collection[str] = ()
    ) -> Environment | None:
        """Take one for a session; None where none waits. Nobody else gets it.

        ``prefer`` are keys of those that are better than others: a kernel runs there already.
        """
        waiting = sorted(self.waiting(kind), key=lambda w: w.environment.key not in prefer)
        for each in waiting:
            key = each.environment.key
            if not self._records.take(key):
                continue  # somebody else was faster
            if self._store.find(key) is not None:
                each.environment.note_use(notebook)
                return each.environment
            self._records.forget(key)
        return None

    def own(self, notebook: str, kind: Kind) -> Environment | None:
        """Take the one that was kept for this notebook, as it was left; None where there is none.

        While a session has it, another one does not get it.
        """
        kept = [self._store.find(key) for key in self._records.kept()]
        found = [
            each
            for each in kept
            if each is not None
            and each.manifest.manager == kind
            and notebook in each.used.notebooks
        ]
        for environment in sorted(found, key=lambda each: -each.used.at):
            if self._records.take_kept(environment.key):
                environment.note_use(notebook)
                return environment
        return None

    def given_back(self, key: str) -> bool:
        """Note that the session is over that has this one. Returns whether it is kept.

        Nothing happens where it is not of the pool. It is kept where something was installed into
        it, for the notebook that used it last; without a notebook nobody would get it again. May
        take a tenth of a second.
        """
        record = self._records.record(key)
        if record is None or not self._records.inherit(key):
            return False
        environment = self._store.find(key)
        if (
            environment is not None
            and environment.used.notebooks
            and record.contents not in ("", contents_of(environment.prefix))
        ):
            self._records.keep(key)
            return True
        self.discard(key)
        return False

    # Making

    async def make(self, kind: Kind, uv: Uv, tell: Tell) -> Environment | None:
        """Make one that waits from then on; None where none is missing by then.

        Without a network it is made of what is cached. When cancelled, nothing of it is left.
        Raises :class:`ConfigError`, :class:`EnvironmentFailed`, :class:`StoreError`.
        """
        async with self._store.alone(_FILLING):
            if not self.missing(kind):
                return None
            environment = await self._made(self._wishes[kind], uv, tell, at_rest=True)
            self._records.offer(environment.key)
            return environment

    async def make_taken(
        self, kind: Kind, uv: Uv, tell: Tell, *, notebook: str | None = None
    ) -> Environment:
        """Make one for a session that waits for it, since none is ready. As :meth:`make`."""
        environment = await self._made(self._wishes[kind], uv, tell, at_rest=False)
        environment.note_use(notebook)
        return environment

    async def _made(self, wish: PoolWish, uv: Uv, tell: Tell, *, at_rest: bool) -> Environment:
        key = f"prewarmed-{wish.kind}-{secrets.token_hex(8)}"
        record = Record(kind=wish.kind, made_for=wish.made_for)
        self._records.begin(key, record)
        try:
            environment = await self._made_somehow(wish, key, uv, tell, at_rest=at_rest)
            if self._store.find(key) is None:
                raise EnvironmentFailed(f"what was made is of no use: {environment.python}")
            contents = contents_of(environment.prefix)
            self._records.change(key, msgspec.structs.replace(record, contents=contents))
        except BaseException:
            self.discard(key)
            raise
        return environment

    async def _made_somehow(
        self, wish: PoolWish, key: str, uv: Uv, tell: Tell, *, at_rest: bool
    ) -> Environment:
        try:
            return await self._made_of(wish, key, uv, tell, at_rest=at_rest, is_offline=False)
        except Unreachable as error:
            with contextlib.suppress(KmuxError):
                return await self._made_of(wish, key, uv, tell, at_rest=at_rest, is_offline=True)
            raise error

    async def _made_of(
        self, wish: PoolWish, key: str, uv: Uv, tell: Tell, *, at_rest: bool, is_offline: bool
    ) -> Environment:
        need = wish.need
        if isinstance(need, UvNeed):
            if is_offline:
                uv = uv.offline()
            plan = await uv_environments.plan(need, self._store, uv, tell, is_compiled=at_rest)
            make = plan.make
        elif at_rest:
            conda.require()
            make = conda_apart.make(need, tell, self._packages, is_offline=is_offline)
        else:
            plan = await conda.plan(need, uv, tell, self._packages, is_offline=is_offline)
            make = plan.make
        return await self._store.make(key, make)

    # Throwing away

    def retire(self, key: str) -> bool:
        """Have one wait no longer. False: somebody has taken it. Who gets True discards it."""
        return self._records.take(key)

    def discard(self, key: str) -> None:
        """Remove one that is ours. May take a tenth of a second."""
        with contextlib.suppress(NotFound):
            self._store.remove(key)
        self._records.forget(key)

    def sweep(self, in_use: Collection[str] = ()) -> None:
        """Take over what other processes had that ended: what a session still has, and the rest.

        ``in_use`` are keys of environments of sessions whose kernels have outlived a daemon: they
        are ours from now on. All that is nobody's was being made, or is given back. For who begins
        to look after the pool; may take some time.
        """
        taken = self._records.taken()
        for key in in_use:
            if key in taken:
                self._records.inherit(key)
        for key in self._records.left_behind():
            log().info("environment.swept", key=key, kept=self.given_back(key))
        for key in self._records.kept():
            if self._store.find(key) is None and self._records.take_kept(key):
                self.discard(key)
        self._records.sweep()

    def close(self) -> None:
        """Have what we own be nobody's, as when the process ends."""
        self._records.close()
