"""One session of the daemon: its parts in this process, its ports, its traces on the disk.

A session goes on until it is stopped, whoever leaves and whatever becomes of its kernel. When the
daemon ends its traces stay, and the next daemon makes the same session of them: the same kernel,
ports and keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio
import zmq

from proxy.bell import Bells
from proxy.daemon import external
from proxy.daemon.carrier import Carrier
from proxy.daemon.control import visible
from proxy.daemon.kept_state import KeptState
from proxy.daemon.session_environment import SessionEnvironment
from proxy.daemon.session_ports import SessionPorts
from proxy.daemon.state import SessionDirectory, SessionState
from proxy.daemon.vocabulary import AUTO, SessionInfo, timestamp
from proxy.daemon.web_doors import KINDS, WebDoors
from proxy.endpoints.endpoint import Endpoint
from proxy.errors import ConfigError, Conflict, InternalError, KernelGone, KmuxError
from proxy.hosting import Host, HostedSession, Plan
from proxy.kernels.eavesdropping import Early
from proxy.kernels.process import LaunchOptions
from proxy.logs import log, speak_for
from proxy.message import ClientId
from proxy.record.archive import RetentionPolicy
from proxy.record.opening import rename
from proxy.session.carrying import Carried
from proxy.session.lifecycle import Lifecycle, Policy, State
from proxy.settings import Settings

FOUND = ("idle", "busy", "dead")
"""What a kernel says that has answered, or is known not to."""
RETURN_SECONDS = 60.0
"""How long what is published is kept for those who listened to an earlier daemon. Their libzmq
connects again within 0.2 s, but one that does not read does not see that it has to."""

if TYPE_CHECKING:
    from proxy.daemon.prewarming import Prewarming
    from proxy.kernels.warm import WarmKernel


class LiveSession:
    """A session that runs in this daemon. :meth:`run` is its life."""

    def __init__(
        self,
        host: Host,
        state: SessionState,
        settings: Settings,
        *,
        goes_on: bool = False,
        early: zmq.Socket[bytes] | None = None,
        waiting: WarmKernel | None = None,
        prewarming: Callable[[], Prewarming | None] = lambda: None,
        stirred: Callable[[], None] = lambda: None,
    ) -> None:
        """``goes_on`` is whether an earlier daemon had it, ``early`` a subscription to its kernel's
        iopub that was made while that one had it still. ``waiting`` is a kernel that is started
        already, ``prewarming`` where its environment is from. ``stirred`` is called whenever there
        may be something else to say of it."""
        self._stirred = stirred
        self._early = early
        self.directory = SessionDirectory(state.id)
        self.ready = trio.Event()
        """Set when its kernel has answered, of this daemon's asking, or cannot."""
        self.ended = trio.Event()
        self.failure: KmuxError | None = None
        """Why it could not begin."""
        self.exit_status: int | None = None
        self.hosted: HostedSession
        self.web: WebDoors
        self._kept = KeptState(state, self.directory, stirred)
        self.ports = SessionPorts(self._kept, lambda: self.hosted)
        self._host = host
        self._settings = settings
        self._goes_on = goes_on
        self._idle_since = time.time()
        self.looks = Bells()
        """Rung when anything has happened."""
        self._environment = SessionEnvironment(
            self._kept, self.directory.kernel, settings, prewarming, waiting
        )
        self._task_status: trio.TaskStatus[None] | None = None

    @property
    def state(self) -> SessionState:
        """What it is."""
        return self._kept.now

    @property
    def name(self) -> str:
        return self.state.name

    # Life

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until it is stopped: then it is forgotten. When cancelled, its traces are left.

        It has started when its ports are bound. Raises nothing: :attr:`failure` says what went
        wrong.
        """
        speak_for(self.name)
        self._task_status = task_status
        try:
            await self._live()
        except* KmuxError as group:
            self.failure = _first(group)
            log().error("session.failed", why=str(self.failure))
            if not self._goes_on:
                self.forget()
        except* Exception as bug:  # of one session: the others go on
            self.failure = InternalError(f"internal error: {bug.exceptions[0]!r}; see the log")
            log().error("internal.error", exc_info=bug)
        self.ready.set()
        self.ended.set()
        self.looks.ring()
        self._kept.is_over = True
        self.ports.ended()
        self._started()
        await self._environment.close(is_over=not self.directory.path.exists())

    def _started(self) -> None:
        if self._task_status is not None:
            self._task_status.started()
            self._task_status = None

    async def _live(self) -> None:
        await self._environment.begin()
        carried = (self.directory.carried() if self._goes_on else None) or Carried(at=time.time())
        self.hosted = HostedSession(
            self._host, self._plan(carried), moved=self._moved, parted=self._client_parted
        )
        if self.hosted.recorder is not None:
            self.hosted.recorder.settled = self._stirred
        self.web = WebDoors(self.hosted, self.state.away_hours * 3600)
        self._carrier = Carrier(
            self.hosted.runner.session, self.directory, self.ports.listeners, self.web.rows
        )
        if self._goes_on:
            self.hosted.resume(carried)
            self.web.resume(carried)
            self.ports.bind_again(carried)
        else:
            self.ports.attach("shared")
        external.publish(self.state)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carrier.run)
            nursery.start_soon(self._forget_missed)
            log().info("session.started", kernel=self.state.kernel_name)
            self._started()
            self.exit_status = await self.hosted.run()
            nursery.cancel_scope.cancel()
        self.forget()

    async def _forget_missed(self) -> None:
        """Whoever listened before has had the time to come back."""
        await trio.sleep(RETURN_SECONDS)
        self.ports.forget_missed()

    def _plan(self, carried: Carried) -> Plan:
        state = self.state
        policy = Policy(
            restart=state.restart,
            prompts=state.prompts,
            away_seconds=state.away_hours * 3600,
            owner_ends=False,
        )
        launch = None
        if state.found is not None:
            policy = msgspec.structs.replace(
                policy, on_death="end", owns_kernel=False, restart="refuse"
            )
        else:
            launch = LaunchOptions(
                kernel_name=state.kernel_name,
                connection_file=self.directory.kernel.connection_file,
                key=state.key,
                signature_scheme=state.signature_scheme,
                cwd=state.cwd,
                env=state.env,
                arguments=state.arguments,
                encrypt=state.encrypt_kernel,
                kept_in=self.directory.kernel,
                identity=state.identity,
                env_source=state.env_source,
            )
        return Plan(
            name=state.name,
            kernel_name=state.kernel_name,
            launch=launch,
            found=state.found,
            goes_on=self._goes_on,
            identity=state.identity,
            early=Early(self._early, carried.last_published) if self._early is not None else None,
            waiting=self._environment.handed_over if self._environment.waits else None,
            prepare=self._environment.prepare if state.auto else None,
            policy=policy,
            records=state.record,
            retention=RetentionPolicy(
                executions=self._settings.keep_executions or None,
                bytes=self._settings.keep_bytes or None,
                seconds=self._settings.keep_days * 86400 or None,
            ),
        )

    def stop(self) -> None:
        """End it: the kernel is asked, then made to end; one that was found is let go of."""
        self.hosted.runner.end()

    @property
    def gone(self) -> KmuxError | None:
        """Why it will have no kernel: its :attr:`failure`, or that somebody has stopped it."""
        if self.failure is not None:
            return self.failure
        if self.ended.is_set() or self._lifecycle.state is State.ENDING:
            return KernelGone(f"session {self.name!r} has ended: somebody has stopped it")
        return None

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where its frontends are."""
        return [*self.ports.all(), *self.web.all()]

    def leave(self) -> None:
        """Write down what is on its way, for the next daemon, and let nothing happen any more."""
        self._carrier.write_now()
        self.hosted.runner.freeze()

    def forget(self) -> None:
        """It is over: nothing is left of it but its record."""
        for endpoint in self.state.endpoints:
            if endpoint.kind != "shim":
                Path(endpoint.file).unlink(missing_ok=True)
        external.withdraw(self.state.id)
        self.directory.remove()

    async def rename(self, name: str) -> None:
        """Call it, and its record, otherwise. Its connection files stay where they are.

        Raises :class:`StoreError`, and is then called as before.
        """
        if self.hosted.recorder is not None:
            await rename(self.hosted.recorder, name)
        self.hosted.name = name
        self._kept.change(name=name)
        external.publish(self.state)

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.hosted.runner.interrupt()

    def restart(self, for_whom: frozenset[ClientId] = frozenset()) -> None:
        """Restart the kernel, also one that is dead. ``for_whom`` as in :meth:`Runner.restart`.

        Raises :class:`ConfigError` where it is not ours, :class:`Conflict` where one is on its way:
        its environment is what the notebook asked for when that began.
        """
        if self.state.found is not None:
            raise ConfigError(f"{self.name} is not kmux's to restart: somebody else started it")
        machines = self.hosted.runner.session.machines
        state, prepares = machines.lifecycle.state, machines.preparing.active
        if state is State.LAUNCHING or (state is State.RESTARTING and prepares):
            raise Conflict(
                f"the kernel of {self.name} is still being prepared; wait until it is there, or "
                f"end it: kmux stop {self.name}"
            )
        self.hosted.runner.restart(for_whom)

    def is_of(self, kernel: str) -> bool:
        """Whether this is what is meant by a kernelspec's name, or by "auto"."""
        return self.state.auto if kernel == AUTO else self.state.kernel_name == kernel

    def belongs_to(self, notebook: str | None) -> None:
        """Its frontend says for which notebook it is: one that was renamed has another path."""
        if notebook is not None and notebook != self.state.notebook:
            self.keep(notebook=notebook)

    def keep(self, **fields: object) -> None:
        """Remember something of it for the next daemon, as far as the disk lets us."""
        self._kept.keep(**fields)

    def _client_parted(self, client: ClientId, restart: bool) -> None:
        self.ports.client_parted(client, restart)

    # What is known of it

    def describe(self) -> SessionInfo:
        """Say what ``kmux ps`` shows."""
        state, runner = self.state, self.hosted.runner
        recorder, server = self.hosted.recorder, self.hosted.record_server
        return SessionInfo(
            name=state.name,
            kernel=state.kernel_name,
            auto=state.auto,
            language=state.language,
            status=runner.session.execution_state,
            clients=len(visible(runner)),
            pid=runner.kernel.pid,
            connection_file=state.endpoints[0].file if state.endpoints else "",
            notebook=state.notebook,
            env_source=state.env_source,
            environment=state.environment,
            preparing=self.preparing,
            created=timestamp(state.created),
            problem=self.problem,
            daemon=True,
            document=recorder.url if recorder is not None else None,
            record_url=server.sync_url if server is not None else None,
        )

    @property
    def preparing(self) -> str:
        """What is done before its kernel can start."""
        return self.hosted.runner.session.machines.preparing.last

    @property
    def problem(self) -> str:
        """What a person should know, in one line."""
        lifecycle = self._lifecycle
        dead = [lifecycle.cause] if lifecycle.state is State.DEAD else []
        return "; ".join([*dead, *self.ports.problems, *filter(None, [self.hosted.not_recorded])])

    @property
    def _lifecycle(self) -> Lifecycle:
        return self.hosted.runner.session.machines.lifecycle

    def kind_of(self, client: ClientId) -> str:
        """Return the kind of endpoint that a client is at."""
        kinds = {each.tag.encode(): each.kind for each in self.state.endpoints}
        return kinds.get(client[0]) or KINDS.get(client[0], "shim")

    def is_overdue(self, now: float) -> str | None:
        """Say why the session is to end, where its time is over."""
        state = self.state
        if state.max_age_hours and now - state.created > state.max_age_hours * 3600:
            return f"it is older than {state.max_age_hours:g} hours"
        if visible(self.hosted.runner) or self.hosted.runner.session.execution_state == "busy":
            self._idle_since = now
        if state.idle_timeout_hours and now - self._idle_since > state.idle_timeout_hours * 3600:
            return f"nobody has used it for {state.idle_timeout_hours:g} hours"
        return None

    def _moved(self) -> None:
        self._carrier.wake()
        self._stirred()
        if not self.ready.is_set() and self.hosted.runner.session.execution_state in FOUND:
            self.ready.set()
        self.looks.ring()


def _first(group: BaseExceptionGroup[KmuxError]) -> KmuxError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, KmuxError)
    return error
