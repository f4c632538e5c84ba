"""Standard mode: one shared kernel in this process, in the foreground or as a kernelspec's kernel.

In the foreground kmux makes a connection file, restarts a kernel that dies, and ends it at the
second Ctrl-C. As a kernel (``-f`` with the file of the frontend that started it) it behaves as
that kernel would: signals are passed on, the frontend that started it decides when it ends, and
its exit status is the kernel's.
"""

from __future__ import annotations

import gc
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec
import trio
import zmq
from jupyter_core.paths import jupyter_runtime_dir

from proxy import memory
from proxy.daemon import registration as registrations
from proxy.daemon.answering import Answering, visible
from proxy.daemon.registry import SessionInfo
from proxy.endpoints.zmq import ZmqEndpoint
from proxy.errors import ConfigError, KmuxError
from proxy.kernels import specs
from proxy.kernels.asyncio_thread import open_asyncio_thread
from proxy.kernels.found import FoundKernel
from proxy.kernels.kernel import Kernel
from proxy.kernels.process import LaunchOptions
from proxy.kernels.sink import KernelSink
from proxy.kernels.supervisor import Supervisor
from proxy.logs import log
from proxy.message import Channel, ClientId, comes_back
from proxy.record.opening import open_record, restored
from proxy.record.place import Place, remember, remembered
from proxy.record.recorder import Recorder
from proxy.record.sync import SyncServer
from proxy.record_server import RecordServer
from proxy.runner import Runner
from proxy.session.lifecycle import Policy
from proxy.session.session import Session
from proxy.settings import runtime_dir
from proxy.sockets import SocketSet
from proxy.wire import connection

SECOND_INTERRUPT_SECONDS = 3.0
"""A second Ctrl-C within this time ends the kernel; a later one interrupts again."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What ``kmux run`` was asked for."""

    kernel: str
    name: str | None = None
    existing: Path | None = None
    """The connection file of a kernel that runs already; no other is launched."""
    connection_file: Path | None = None
    transport: connection.Transport = "tcp"
    encrypt: bool = False
    encrypt_kernel: bool = False
    policy: Policy = Policy()
    """What is done when a client is gone. What is done when the kernel is follows from the file."""
    record: bool = True
    """Whether what happens is kept on the disk."""
    replay: bool = False
    """Whether there is a second set of ports, whose new subscribers are sent what they missed."""
    kernel_arguments: tuple[str, ...] = ()
    """What the frontend that runs kmux as its kernel adds to the kernel's command line."""


class Display:
    """What a person sees of a session in the foreground. Silent when kmux stands for a kernel."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self._show = show or (lambda line: None)

    def started(self, info: SessionInfo, replay_file: Path | None) -> None:
        file = Path(info.connection_file)
        self._show(f"{info.name}: sharing kernel {info.kernel}")
        self._show(f"  connection file  {file}")
        self._show(f"  terminal         jupyter console --existing {file.name}")
        self._show(f"  Qt console       jupyter qtconsole --existing {file.name}")
        if replay_file is not None:
            self._show(f"  with a replay    {replay_file}")
        self._show("  Ctrl-C interrupts the kernel, twice ends it")

    def client(self, what: str, name: str, clients: int) -> None:
        self._show(f"{what}: {name[:24]} ({clients} connected)")

    def interrupted(self) -> None:
        self._show("interrupted; press Ctrl-C again to end the kernel")

    def not_recorded(self, why: str) -> None:
        self._show(f"not recorded: {why}")

    def ending(self) -> None:
        self._show("ending the kernel")


async def run(options: Options, show: Callable[[str], None] | None = None) -> int:
    """Serve one kernel until it is ended. Returns the exit status for the process.

    Raises :class:`ConfigError` and :class:`KernelGone` where it cannot be started.
    """
    gc.freeze()  # what was imported lives as long as the process: collections pass it over
    found = connection.read(options.existing) if options.existing is not None else None
    kernel_name = _name_of(found) if found is not None else options.kernel
    language = specs.find(options.kernel).language if found is None else ""
    file = options.connection_file
    owned = file is not None and (file.exists() or _is_run_by_jupyter())
    info = connection.read(file) if file is not None and owned else _fresh_info(options, found)
    wish = options.name or Path(os.environ.get("JPY_SESSION_NAME", "")).stem or kernel_name
    registration = registrations.register(wish) if options.name else registrations.register_as(wish)
    name = registration.name
    display = Display(None if owned else show)
    private = runtime_dir() / "kernels" / f"{name}-{secrets.token_hex(4)}.json"
    private.parent.mkdir(mode=0o700, exist_ok=True)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = SocketSet()
    if file is None:
        file = Path(jupyter_runtime_dir()) / f"kernel-kmux-{name}.json"
    written: list[Path] = []
    replay_file: Path | None = None
    try:
        async with open_asyncio_thread() as asyncio_thread, trio.open_nursery() as nursery:
            policy = options.policy
            if owned or found is not None:  # somebody else decides
                policy = msgspec.structs.replace(policy, on_death="end")
            if found is not None:
                policy = msgspec.structs.replace(policy, owns_kernel=False, restart="refuse")

            def changed(what: str, client: ClientId, name: str) -> None:
                if comes_back(client):
                    display.client(what, name, len(visible(runner)))

            def kernel(sink: KernelSink) -> Kernel:
                if found is not None:
                    return FoundKernel(context, sockets, found, sink)
                launch = LaunchOptions(
                    kernel_name=options.kernel,
                    connection_file=private,
                    key=info.key,
                    signature_scheme=info.signature_scheme,
                    encrypt=options.encrypt_kernel,
                    arguments=options.kernel_arguments,
                )
                return Supervisor(context, sockets, asyncio_thread, launch, sink)

            recorder = _recorder(options, name, kernel_name, display)
            record_server = None
            session = Session(secrets.token_hex(8), policy, records=recorder is not None)
            recorded = recorder.take if recorder is not None else None
            runner = Runner(session, sockets, kernel, changed=changed, recorded=recorded)
            if recorder is not None:
                recorder.present = session.present
                if (known := restored(recorder, time.time())) is not None:
                    runner.dispatch(known)
                sockets.after_turn.append(recorder.wake)
                record_server = await _serve_record(recorder, nursery)
                nursery.start_soon(recorder.run)
            endpoint = ZmqEndpoint(
                context, sockets, info, runner, owner_pid=_owner_pid() if owned else None
            )
            runner.attach(endpoint)
            await nursery.start(_obey_signals, runner, display, owned)  # before a file is written
            if not owned:
                connection.write(file, endpoint.info)
                written.append(file)
            if options.replay:
                wanted = _beside(endpoint.info)
                replaying = ZmqEndpoint(context, sockets, wanted, runner, b"replay", replays=True)
                runner.attach(replaying)
                replay_file = Path(jupyter_runtime_dir()) / f"kernel-kmux-{name}-replay.json"
                connection.write(replay_file, replaying.info)
                written.append(replay_file)

            answering = Answering(
                runner,
                name=name,
                kernel=kernel_name,
                language=language,
                file=file,
                recorder=recorder,
                record_url=record_server.sync_url if record_server is not None else None,
            )
            nursery.start_soon(sockets.run)
            nursery.start_soon(memory.give_back)
            nursery.start_soon(registration.serve, answering.answer)
            if owned:
                nursery.start_soon(_follow_parent, runner)
            log().info("session.started", session=name, kernel=kernel_name, file=str(file))
            display.started(answering.describe(), replay_file)
            status = await runner.run()
            nursery.cancel_scope.cancel()
    finally:
        registration.close()
        for each in written:
            each.unlink(missing_ok=True)
        private.unlink(missing_ok=True)
        sockets.close_all()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(context.term)
    if not owned or status is None:
        return 0
    return status if status >= 0 else 128 - status


def _recorder(options: Options, name: str, kernel: str, display: Display) -> Recorder | None:
    """Open the record, if there is to be one. A session that cannot be recorded runs all the
    same."""
    if not options.record:
        return None
    try:
        return open_record(name, kernel, resumes=options.existing is not None)
    except KmuxError as error:
        log().warning("record.refused", why=str(error))
        display.not_recorded(str(error))
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


def _name_of(found: connection.ConnectionInfo) -> str:
    """What to call a kernel that was found: as its connection file does, where it does."""
    return str(found.extra.get("kernel_name") or "kernel")


def _fresh_info(
    options: Options, found: connection.ConnectionInfo | None
) -> connection.ConnectionInfo:
    """Make the connection information of a new session: all ports free to choose.

    The key is that of a kernel that was found: then no message need be signed again.
    """
    if options.transport == "ipc":
        address = str(runtime_dir() / f"ipc-{secrets.token_hex(4)}")
    else:
        address = "127.0.0.1"
    curve = None
    if options.encrypt:
        public, secret = zmq.curve_keypair()
        curve = connection.CurveKeys(public.decode(), secret.decode())
    return connection.ConnectionInfo(
        transport=options.transport,
        ip=address,
        key=found.key if found is not None else connection.new_key(),
        signature_scheme=found.signature_scheme if found is not None else "hmac-sha256",
        curve=curve,
        extra={"kernel_name": _name_of(found) if found is not None else options.kernel},
    )


def _beside(info: connection.ConnectionInfo) -> connection.ConnectionInfo:
    """Make the connection information of a second set of ports for the same frontends."""
    free = dict.fromkeys(Channel, 0)
    ip = f"{info.ip}-replay" if info.transport == "ipc" else info.ip
    return msgspec.structs.replace(info.with_ports(free), ip=ip)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


async def _obey_signals(
    runner: Runner,
    display: Display,
    owned: bool,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    last = float("-inf")
    for received in SIGNALS:
        # When the session is over, trio puts this back and delivers what came too late again:
        # to nobody, and what is open is closed in peace. (SIG_IGN would do as well, but for
        # Python's "Signal 2 ignored due to race condition".)
        signal.signal(received, _ignore)
    with trio.open_signal_receiver(*SIGNALS) as signals:
        task_status.started()
        async for number in signals:
            if owned:
                runner.interrupt() if number == signal.SIGINT else runner.terminate()
            elif number == signal.SIGINT and time.monotonic() - last > SECOND_INTERRUPT_SECONDS:
                last = time.monotonic()
                runner.interrupt()
                display.interrupted()
            else:
                display.ending()
                runner.end()


def _is_run_by_jupyter() -> bool:
    """Whether the process that started us did so as its kernel.

    It may have taken its connection file away by now, if it was told to end at once; without this
    kmux would take itself for one in the foreground, and stay.
    """
    return os.environ.get("JPY_PARENT_PID") == str(os.getppid())


def _owner_pid() -> int:
    """Return the process that started us as its kernel, as jupyter_client tells its kernels."""
    try:
        return int(os.environ["JPY_PARENT_PID"])
    except (KeyError, ValueError):
        return os.getppid()


async def _follow_parent(runner: Runner) -> None:
    """End with the frontend that started us, as ipykernel does."""
    if "JPY_PARENT_PID" not in os.environ:
        return  # started by something that does not ask for this
    try:
        pidfd = os.pidfd_open(_owner_pid())
    except OSError:
        return
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)
    runner.end()
