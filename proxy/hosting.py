"""One session with all its parts, made and tied together: what standard mode has one of, and the
daemon many.

A process that hosts sessions has one ZMQ context, one set of sockets and one asyncio thread for all
of them (:class:`Host`). A session has a kernel, a record and its server, and any number of
endpoints, which come and go while it runs.
"""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import trio
import zmq

from proxy import memory, open_files
from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ConfigError, KmuxError
from proxy.kernels.asyncio_thread import AsyncioThread, open_asyncio_thread
from proxy.kernels.eavesdropping import Early
from proxy.kernels.found import FoundKernel
from proxy.kernels.kernel import Kernel
from proxy.kernels.process import LaunchOptions
from proxy.kernels.sink import KernelSink
from proxy.kernels.supervisor import Prepare, Supervisor, Waiting
from proxy.logs import log
from proxy.message import ClientId
from proxy.record.archive import RetentionPolicy
from proxy.record.opening import open_record, restored
from proxy.record.pace import Pace
from proxy.record.place import Place, remember, remembered
from proxy.record.recorder import Recorder
from proxy.record.sync import SyncServer
from proxy.record_server import RecordServer
from proxy.runner import Runner
from proxy.session.carrying import Carried, Resumed
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from proxy.sockets import SocketSet
from proxy.wire.connection import ConnectionInfo

if TYPE_CHECKING:
    from proxy.endpoints.web_clients import WebClients


class Host(msgspec.Struct, frozen=True):
    """What the sessions of a process share."""

    context: zmq.Context[zmq.Socket[bytes]]
    sockets: SocketSet
    asyncio_thread: AsyncioThread
    pace: Pace


@asynccontextmanager
async def open_host() -> AsyncIterator[Host]:
    """Have what sessions share while the context lasts; then all sockets are closed."""
    gc.freeze()  # what was imported lives as long as the process: collections pass it over
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.max_sockets = open_files.limit()  # libzmq's own limit is that of 39 sessions
    sockets = SocketSet()
    try:
        async with open_asyncio_thread() as asyncio_thread, trio.open_nursery() as nursery:
            nursery.start_soon(sockets.run)
            nursery.start_soon(memory.give_back)
            yield Host(context, sockets, asyncio_thread, Pace(lambda: sockets.rounds))
            nursery.cancel_scope.cancel()
    finally:
        sockets.close_all()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(context.term)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is to be."""

    name: str
    kernel_name: str
    launch: LaunchOptions | None = None
    found: ConnectionInfo | None = None
    """A kernel that runs already, instead of one that is launched."""
    goes_on: bool = False
    """Whether the kernel is the one that an earlier kmux has had, with its record."""
    identity: str = ""
    """kmux's routing identity at a kernel that was found."""
    policy: Policy = Policy()
    waiting: Waiting | None = None
    """A kernel that is started already, for the first one."""
    prepare: Prepare | None = None
    """What is done before a kernel is launched."""
    early: Early | None = None
    """What was heard of a kernel that an earlier kmux has had."""
    records: bool = True
    retention: RetentionPolicy | None = None


class HostedSession:
    """A session in this process. Made by :func:`host_session`; :meth:`run` is its life."""

    def __init__(
        self,
        host: Host,
        plan: Plan,
        *,
        changed: Callable[[str, ClientId, str], None] | None = None,
        moved: Callable[[], None] | None = None,
        parted: Callable[[ClientId, bool], None] | None = None,
    ) -> None:
        """Raises nothing: a session that cannot be recorded runs all the same."""
        self.name = plan.name
        self.kernel_name = plan.kernel_name
        self.not_recorded = ""
        """Why there is no record, one line for a person, where there should be one."""
        self.record_server: RecordServer | None = None
        self._host = host
        self._plan = plan
        self._moved = moved or (lambda: None)
        self.recorder = self._open_record() if plan.records else None
        session = Session(secrets.token_hex(8), plan.policy, records=self.recorder is not None)
        self.runner = Runner(
            session,
            host.sockets,
            self._kernel,
            changed=changed,
            recorded=self.recorder.take if self.recorder is not None else None,
            moved=self._wake,
            parted=parted,
        )
        if self.recorder is not None:
            self.recorder.present = session.present

    def resume(self, carried: Carried) -> None:
        """Go on with what was on its way; before :meth:`run`."""
        self.runner.dispatch(Resumed(at=time.time(), carried=carried))

    def attach(
        self,
        info: ConnectionInfo,
        tag: bytes = b"zmq",
        *,
        owner_pid: int | None = None,
        replays: bool = False,
        read_only: bool = False,
    ) -> ZmqEndpoint:
        """Bind another set of ports. Raises :class:`ConfigError` where one is taken."""
        endpoint = ZmqEndpoint(
            self._host.context,
            self._host.sockets,
            info,
            self.runner,
            tag,
            owner_pid,
            replays=replays,
            read_only=read_only,
        )
        self.runner.attach(endpoint)
        return endpoint

    def attach_web(self, tag: bytes, *, read_only: bool, away_seconds: float) -> WebClients:
        """Have frontends come by WebSocket."""
        from proxy.endpoints.web_clients import WebClients  # slow to import, and seldom needed

        endpoint = WebClients(self.runner, tag, read_only=read_only, away_seconds=away_seconds)
        self.runner.attach(endpoint)
        return endpoint

    async def run(
        self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> int | None:
        """Serve until the session ends. Returns the kernel's exit status.

        It has started when the record can be followed. Raises :class:`KernelGone` where the kernel
        does not start. When cancelled, the record is written, and a kernel that outlives kmux is
        left.
        """
        async with trio.open_nursery() as nursery:
            if self.recorder is not None:
                if (known := restored(self.recorder, time.time())) is not None:
                    self.runner.dispatch(known)
                self.record_server = await _serve_record(self.recorder, nursery)
                nursery.start_soon(self.recorder.run)
            task_status.started()
            status = await self.runner.run()
            nursery.cancel_scope.cancel()
        return status

    def _wake(self) -> None:
        if self.recorder is not None:
            self.recorder.wake()
        self._moved()

    def _kernel(self, sink: KernelSink) -> Kernel:
        host, plan = self._host, self._plan
        if plan.found is not None:
            return FoundKernel(
                host.context,
                host.sockets,
                plan.found,
                sink,
                identity=plan.identity,
                goes_on=plan.goes_on,
                early=plan.early,
            )
        assert plan.launch is not None
        return Supervisor(
            host.context,
            host.sockets,
            host.asyncio_thread,
            plan.launch,
            sink,
            adopts=plan.goes_on,
            early=plan.early,
            waiting=plan.waiting,
            prepare=plan.prepare,
        )

    def _open_record(self) -> Recorder | None:
        goes_on = self._plan.goes_on or self._plan.found is not None
        try:
            return open_record(
                self.name,
                self.kernel_name,
                resumes=goes_on,
                gapless=self._plan.early is not None,
                policy=self._plan.retention,
                pace=self._host.pace,
            )
        except KmuxError as error:
            log().warning("record.refused", why=str(error))
            self.not_recorded = str(error)
            return None


async def _serve_record(recorder: Recorder, nursery: trio.Nursery) -> RecordServer:
    """Let others follow the record: where they did before, if there is a before."""
    sync = SyncServer(f"kmux-{recorder.root_id}")
    recorder.audience = sync
    place = remembered(recorder.directory)
    server = RecordServer(sync, recorder.blobs, token=place.token, port=place.port)
    try:
        await nursery.start(server.serve)
    except ConfigError:  # somebody else has it by now
        server = RecordServer(sync, recorder.blobs, token=place.token)
        await nursery.start(server.serve)
    remember(recorder.directory, Place(server.front.port, place.token))
    return server
