"""Where the kernels of one session have their environments, whose notebook chooses them.

The first kernel may wait already (``prewarming.py``); each other one is looked up anew, since who
edits what a notebook lists restarts its kernel to have it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.daemon.choosing import Chosen, Tell, Wanted, choose, complete
from proxy.daemon.kept_state import KeptState
from proxy.environments.preparation import in_environment
from proxy.errors import ConfigError, KernelGone
from proxy.kernels.adopted import adopt
from proxy.kernels.keeping import KernelDirectory
from proxy.kernels.process import LaunchOptions, Process
from proxy.logs import log
from proxy.settings import Settings

if TYPE_CHECKING:
    from proxy.daemon.prewarming import Prewarming
    from proxy.kernels.warm import WarmKernel


class SessionEnvironment:
    """Has what the session's kernels need; :meth:`close` it when the session is over."""

    def __init__(
        self,
        kept: KeptState,
        directory: KernelDirectory,
        settings: Settings,
        prewarming: Callable[[], Prewarming | None],
        waiting: WarmKernel | None,
    ) -> None:
        """``waiting`` is a kernel that waits in the session's directory, to be its first."""
        self._kept = kept
        self._directory = directory
        self._settings = settings
        self._find_prewarming = prewarming
        self._waiting = waiting

    @property
    def _prewarming(self) -> Prewarming | None:
        """It comes to be after the sessions that an earlier daemon had."""
        return self._find_prewarming()

    @property
    def waits(self) -> bool:
        """Whether a kernel is there already."""
        return self._waiting is not None

    async def begin(self) -> None:
        """Have the kernel that waits become this session's while the rest of that comes to be."""
        if self._waiting is None or self._prewarming is None:
            return
        state = self._kept.now
        environment = self._prewarming.pool.store.find(state.environment)
        try:
            if environment is None:
                raise KernelGone("its environment is gone")
            await self._waiting.begin(
                cwd=state.cwd or os.getcwd(),
                env=in_environment(environment).environment(state.env or os.environ),
                arguments=state.arguments,
            )
        except KernelGone as error:
            log().info("kernel.started_fresh", why=str(error))
            await self._let_go()

    async def handed_over(self, options: LaunchOptions) -> Process:
        """Have the kernel that waited. Raises :class:`KernelGone` where it cannot be."""
        if self._waiting is None:
            raise KernelGone("no kernel waits")
        try:
            await self._waiting.handed_over()
            process = adopt(self._directory)
        except (KernelGone, ConfigError) as error:
            await self._let_go()
            raise KernelGone(str(error)) from None
        self._waiting = None
        return process

    async def prepare(self, options: LaunchOptions, tell: Tell) -> LaunchOptions:
        """Have what the notebook asks for now, before a kernel is launched.

        Raises as :func:`choose` and :func:`complete`.
        """
        state = self._kept.now
        wanted = Wanted(notebook=state.notebook, cwd=state.cwd, env=state.env, trust=state.trust)
        chosen = await choose(wanted, self._settings, had=state.env_source)
        pool = self._prewarming.pool if self._prewarming is not None else None
        prepared = await complete(
            options, chosen, wanted, self._settings, tell, had=state.environment, pool=pool
        )
        key = prepared.command.key if prepared.command is not None else ""
        self._know(chosen, key)
        if state.environment and state.environment != key:
            await self._give_back(state.environment)
        return prepared

    def _know(self, chosen: Chosen, key: str) -> None:
        self._kept.keep(
            kernel_name=chosen.kernel_name,
            language=chosen.language,
            env_source=chosen.env_source,
            environment=key,
        )

    async def close(self, *, is_over: bool) -> None:
        """The session does not go on here, however far it came. ``is_over`` is whether nobody will
        go on with it, and its kernel has ended."""
        if self._waiting is not None:
            await self._let_go()
        if is_over and self._kept.now.environment:
            await self._give_back(self._kept.now.environment)

    async def _let_go(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.end(keeps_directory=True)

    async def _give_back(self, key: str) -> None:
        if self._prewarming is not None:
            await self._prewarming.given_back(key)
