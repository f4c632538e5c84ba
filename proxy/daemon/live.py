"""One session of the daemon: its parts in this process, its ports, its traces on the disk.

A session goes on until it is stopped, whoever leaves and whatever becomes of its kernel. When the
daemon ends its traces stay, and the next daemon makes the same session of them: the same kernel,
ports and keys.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec
import trio
import zmq
from jupyter_core.paths import jupyter_runtime_dir

from proxy import open_files
from proxy.daemon import external
from proxy.daemon.carrier import Carrier
from proxy.daemon.control import visible
from proxy.daemon.state import EndpointState, Kind, SessionDirectory, SessionState
from proxy.daemon.vocabulary import SessionInfo, timestamp
from proxy.daemon.web_doors import KINDS, WebDoors
from proxy.endpoints.endpoint import Endpoint
from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ConfigError, InternalError, KmuxError, StoreError
from proxy.hosting import Host, HostedSession, Plan
from proxy.kernels.eavesdropping import Early
from proxy.kernels.process import LaunchOptions
from proxy.logs import log, speak_for
from proxy.message import ClientId
from proxy.record.archive import RetentionPolicy
from proxy.record.opening import rename
from proxy.session.carrying import Carried
from proxy.session.lifecycle import Policy, State
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

SHARED_TAG = b"zmq"
RETURN_SECONDS = 60.0
"""How long what is published is kept for those who listened to an earlier daemon. Their libzmq
connects again within 0.2 s, but one that does not read does not see that it has to."""

Parting = Literal["restart", "goodbye", "ended"]
"""A shim's frontend wants its kernel again at once, or not any more; or the session is over."""
Parted = Callable[[Parting], None]


class LiveSession:
    """A session that runs in this daemon. :meth:`run` is its life."""

    def __init__(
        self,
        host: Host,
        state: SessionState,
        retention: RetentionPolicy,
        *,
        goes_on: bool = False,
        early: zmq.Socket[bytes] | None = None,
        stirred: Callable[[], None] = lambda: None,
    ) -> None:
        """``goes_on`` is whether an earlier daemon had it, ``early`` a subscription to its kernel's
        iopub that was made while that one had it still. ``stirred`` is called whenever there may
        be something else to say of it."""
        self._stirred = stirred
        self._early = early
        self.state = state
        self.directory = SessionDirectory(state.id)
        self.ready = trio.Event()
        """Set when its kernel has answered for the first time, or cannot."""
        self.ended = trio.Event()
        self.failure: KmuxError | None = None
        """Why it could not begin."""
        self.exit_status: int | None = None
        self.hosted: HostedSession
        self.web: WebDoors
        self._host = host
        self._retention = retention
        self._goes_on = goes_on
        self._endpoints: dict[str, ZmqEndpoint] = {}
        self._shims: dict[bytes, Parted] = {}
        self._problems: list[str] = []
        self._idle_since = time.time()
        self._task_status: trio.TaskStatus[None] | None = None

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
        for parted in tuple(self._shims.values()):
            parted("ended")
        self._started()

    def _started(self) -> None:
        if self._task_status is not None:
            self._task_status.started()
            self._task_status = None

    async def _live(self) -> None:
        carried = (self.directory.carried() if self._goes_on else None) or Carried(at=time.time())
        self.hosted = HostedSession(
            self._host, self._plan(carried), moved=self._moved, parted=self._client_parted
        )
        if self.hosted.recorder is not None:
            self.hosted.recorder.settled = self._stirred
        self.web = WebDoors(self.hosted, self.state.away_hours * 3600)
        self._carrier = Carrier(
            self.hosted.runner.session, self.directory, self._listeners, self.web.rows
        )
        if self._goes_on:
            self.hosted.resume(carried)
            self.web.resume(carried)
            self._bind_again(carried)
        else:
            self.attach("shared")
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
        for endpoint in self._endpoints.values():
            endpoint.forget_missed()

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
            )
        return Plan(
            name=state.name,
            kernel_name=state.kernel_name,
            launch=launch,
            found=state.found,
            goes_on=self._goes_on,
            identity=state.identity,
            early=Early(self._early, carried.last_published) if self._early is not None else None,
            policy=policy,
            records=state.record,
            retention=self._retention,
        )

    def stop(self) -> None:
        """End it: the kernel is asked, then made to end; one that was found is let go of."""
        self.hosted.runner.end()

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where its frontends are."""
        return [*self._endpoints.values(), *self.web.all()]

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
        self.state = msgspec.structs.replace(self.state, name=name)
        self.hosted.name = name
        self.directory.write(self.state)
        external.publish(self.state)

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.hosted.runner.interrupt()

    def restart(self, for_whom: frozenset[ClientId] = frozenset()) -> None:
        """Restart the kernel, also one that is dead. ``for_whom`` as in :meth:`Runner.restart`.

        Raises :class:`ConfigError` where it is not ours.
        """
        if self.state.found is not None:
            raise ConfigError(f"{self.name} is not kmux's to restart: somebody else started it")
        self.hosted.runner.restart(for_whom)

    def belongs_to(self, notebook: str | None) -> None:
        """Its frontend says for which notebook it is: one that was renamed has another path."""
        if notebook is not None and notebook != self.state.notebook:
            self.state = msgspec.structs.replace(self.state, notebook=notebook)
            self._keep(self.state.endpoints)

    # Ports

    def attach(self, kind: Kind) -> EndpointState:
        """Return a set of ports of this kind: the one that there is, or (exclusive) another one.

        Raises :class:`ConfigError` and :class:`StoreError` where that cannot be.
        """
        same = [each for each in self.state.endpoints if each.kind == kind]
        if same and kind != "exclusive":
            return same[0]
        open_files.check_room()
        what = {"shared": "", "exclusive": f"-{len(same) + 1}"}.get(kind, f"-{kind}")
        file = _free_file(f"kernel-kmux-{self.name}{what.replace('_', '-')}")
        tag = SHARED_TAG if kind == "shared" else secrets.token_hex(4).encode()
        info = self._bind(self._fresh_info(), tag, kind).info
        connection.write(file, info)
        return self._add(EndpointState(tag=tag.decode(), kind=kind, file=str(file), info=info))

    def shim_endpoints(self) -> list[EndpointState]:
        """Return the ports of frontends on which it is served."""
        return [each for each in self.state.endpoints if each.kind == "shim"]

    def shim_endpoint(self, file: str) -> EndpointState | None:
        """Return the ports of a frontend's file, if it is served on them."""
        return next((each for each in self.shim_endpoints() if each.file == file), None)

    def attach_shim(self, file: str, info: ConnectionInfo, owner_pid: int, parted: Parted) -> bytes:
        """Serve on a frontend's ports. Returns the tag with which to take them away again.

        Where it is served there already nobody notices anything. Raises :class:`Conflict` where
        one of them is taken.
        """
        open_files.check_room()
        tag = b"shim-" + hashlib.sha256(file.encode()).hexdigest()[:12].encode()
        wanted = EndpointState(
            tag=tag.decode(), kind="shim", file=file, info=info, owner_pid=owner_pid
        )
        if tag.decode() not in self._endpoints or self.shim_endpoint(file) != wanted:
            self.detach(tag)
            self._bind(info, tag, "shim", owner_pid)
            self._keep([*self.state.endpoints, wanted])
        self._shims[tag] = parted
        return tag

    def detach(self, tag: bytes) -> None:
        """Serve a set of ports no more."""
        self._shims.pop(tag, None)
        self._endpoints.pop(tag.decode(), None)
        self.hosted.runner.detach(tag)
        left = [each for each in self.state.endpoints if each.tag != tag.decode()]
        if left != self.state.endpoints:
            self._keep(left)

    def _keep(self, endpoints: list[EndpointState]) -> None:
        self.keep(msgspec.structs.replace(self.state, endpoints=endpoints))

    def keep(self, state: SessionState) -> None:
        """Remember something of it for the next daemon, as far as the disk lets us."""
        self.state = state
        self._stirred()
        try:
            if not self.ended.is_set():
                self.directory.write(self.state)
        except StoreError as error:
            log().error("session.not_carried", why=str(error))

    def _fresh_info(self) -> ConnectionInfo:
        """Make the connection information of a set of ports, all free to choose."""
        state = self.state
        return ConnectionInfo(
            key=state.key,
            signature_scheme=state.signature_scheme,
            extra={"kernel_name": state.kernel_name},
        )

    def _bind(
        self, info: ConnectionInfo, tag: bytes, kind: Kind, owner_pid: int | None = None
    ) -> ZmqEndpoint:
        endpoint = self.hosted.attach(
            info,
            tag,
            owner_pid=owner_pid,
            replays=kind == "replay",
            read_only=kind == "read_only",
        )
        self._endpoints[tag.decode()] = endpoint
        return endpoint

    def _bind_again(self, carried: Carried) -> None:
        """Bind the ports that it had. Those that somebody else has by now are its problem.

        A frontend's are bound as well: its shim is about to ask for them, also for those that
        could not be had, and until then answers find their way.
        """
        self._keep([e for e in self.state.endpoints if e.owner_pid is None or _runs(e.owner_pid)])
        for each in self.state.endpoints:
            try:
                tag = each.tag.encode()
                endpoint = self._bind(each.info, tag, each.kind, each.owner_pid)
                endpoint.await_return_of(carried.listeners.get(each.tag, 0))
                if each.kind != "shim":
                    connection.write(Path(each.file), each.info)
            except ConfigError as error:
                log().error("session.port_lost", why=str(error))
                if each.kind != "shim":
                    self._problems.append(str(error))

    def _listeners(self) -> dict[str, int]:
        return {tag: len(endpoint.subscribers) for tag, endpoint in self._endpoints.items()}

    def _add(self, endpoint: EndpointState) -> EndpointState:
        endpoints = [*self.state.endpoints, endpoint]
        self.state = msgspec.structs.replace(self.state, endpoints=endpoints)
        self.directory.write(self.state)
        return endpoint

    def _client_parted(self, client: ClientId, restart: bool) -> None:
        parted = self._shims.get(client[0])
        if parted is not None:
            parted("restart" if restart else "goodbye")

    # What is known of it

    def describe(self) -> SessionInfo:
        """Say what ``kmux ps`` shows."""
        state, runner = self.state, self.hosted.runner
        recorder, server = self.hosted.recorder, self.hosted.record_server
        return SessionInfo(
            name=state.name,
            kernel=state.kernel_name,
            language=state.language,
            status=runner.session.execution_state,
            clients=len(visible(runner)),
            pid=runner.kernel.pid,
            connection_file=state.endpoints[0].file if state.endpoints else "",
            notebook=state.notebook,
            env_source=state.env_source,
            created=timestamp(state.created),
            problem=self.problem,
            daemon=True,
            document=recorder.url if recorder is not None else None,
            record_url=server.sync_url if server is not None else None,
        )

    @property
    def problem(self) -> str:
        """What a person should know, in one line."""
        lifecycle = self.hosted.runner.session.machines.lifecycle
        dead = [lifecycle.cause] if lifecycle.state is State.DEAD else []
        return "; ".join([*dead, *self._problems, *filter(None, [self.hosted.not_recorded])])

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
        if not self.ready.is_set():
            lifecycle = self.hosted.runner.session.machines.lifecycle
            # What it is asked first is still busy when it has answered; one that was found may be
            # busy with anything.
            begins = self.state.found is None and not self._goes_on
            answers = lifecycle.was_ready and not (
                begins and self.hosted.runner.session.execution_state == "busy"
            )
            if answers or lifecycle.state is State.DEAD:
                self.ready.set()


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _first(group: BaseExceptionGroup[KmuxError]) -> KmuxError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, KmuxError)
    return error


def _free_file(stem: str) -> Path:
    """Return a connection file of this name, or one like it: a session that was called so before it
    was renamed has the first one still, or another session's further ports have."""
    directory = Path(jupyter_runtime_dir())
    names = (stem if number == 1 else f"{stem}.{number}" for number in count(1))
    files = (directory / f"{name}.json" for name in names)
    return next(file for file in files if not _is_served(file))


def _is_served(file: Path) -> bool:
    """Whether anybody listens where a connection file says. One that was left is nobody's."""
    try:
        info = connection.read(file)
    except ConfigError:
        return False
    with socket.socket() as probe:
        return probe.connect_ex((info.ip, info.shell_port)) == 0
