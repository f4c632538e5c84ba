"""Standard mode: one shared kernel in this process, in the foreground or as a kernelspec's kernel.

In the foreground kmux makes a connection file, restarts a kernel that dies, and ends it at the
second Ctrl-C. As a kernel (``-f`` with the file of the frontend that started it) it behaves as
that kernel would: signals are passed on, the frontend that started it decides when it ends, and
its exit status is the kernel's.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec
import trio
import zmq
from jupyter_core.paths import jupyter_runtime_dir

from proxy.daemon import registry
from proxy.daemon.api import NO_CONTENT, PREFIX, session_routes
from proxy.daemon.choosing import Tell, Wanted, choose, complete
from proxy.daemon.control import visible
from proxy.daemon.vocabulary import AUTO, SessionInfo, timestamp
from proxy.display import SECOND_INTERRUPT_SECONDS, Display
from proxy.endpoints.routes import Request, Response, Route
from proxy.endpoints.unix_front import UnixFront
from proxy.environments import chosen as environments
from proxy.environments.pool import Pool
from proxy.errors import ClientProtocolError, ConfigError, Conflict, NotFound, StoreError
from proxy.hosting import HostedSession, Plan, open_host
from proxy.kernel_command import FROM_KERNELSPEC
from proxy.kernels import specs
from proxy.kernels.process import LaunchOptions
from proxy.logs import log
from proxy.message import Channel, ClientId, comes_back
from proxy.runner import Runner
from proxy.session.lifecycle import Policy
from proxy.settings import Settings, runtime_dir
from proxy.wire import connection

REPLAY_TAG = b"replay"

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
    settings: Settings = Settings()
    """What is known of environments, for the kernel "auto"."""
    trust: str = ""
    """As :class:`NewSession` has it."""
    kernel_arguments: tuple[str, ...] = ()
    """What the frontend that runs kmux as its kernel adds to the kernel's command line."""


class StandardSession:
    """The session of this process, for those who ask on its socket."""

    hosted: HostedSession

    def __init__(self, language: str, env_source: str) -> None:
        self.file = Path()
        self.environment = ""
        """The key of the environment in the store that its kernel is in, where it is there."""
        self.env_source = env_source
        self._language = language
        self._began = time.time()

    def all(self) -> list[StandardSession]:
        """All sessions of this process."""
        return [self]

    def get(self, name: str) -> StandardSession:
        """Return it, if that is its name. Raises :class:`NotFound`."""
        if name != self.hosted.name:
            raise NotFound(f"no session {name!r} runs here; kmux ps lists those that do")
        return self

    def describe(self) -> SessionInfo:
        """Say what ``kmux ps`` shows."""
        hosted = self.hosted
        recorder, server = hosted.recorder, hosted.record_server
        return SessionInfo(
            name=hosted.name,
            kernel=hosted.kernel_name,
            language=self._language,
            status=hosted.runner.session.execution_state,
            clients=len(visible(hosted.runner)),
            pid=hosted.runner.kernel.pid,
            connection_file=str(self.file),
            env_source=self.env_source,
            environment=self.environment,
            created=timestamp(self._began),
            problem=hosted.not_recorded,
            document=recorder.url if recorder is not None else None,
            record_url=server.sync_url if server is not None else None,
        )

    def kind_of(self, client: ClientId) -> str:
        """Return the kind of endpoint that a client is at."""
        return "replay" if client[0] == REPLAY_TAG else "shared"

    def interrupt(self) -> None:
        """Interrupt the kernel."""
        self.hosted.runner.interrupt()

    def restart(self) -> None:
        """Restart the kernel. Raises :class:`ConfigError` where it is not ours to restart."""
        if not self.hosted.runner.session.machines.policy.owns_kernel:
            raise ConfigError("this kernel is not kmux's to restart: somebody else started it")
        self.hosted.runner.restart()

    def routes(self) -> list[Route]:
        """Return the routes of its socket."""
        stop = Route(method="DELETE", path=f"{PREFIX}/{{name}}", answer=self._stop)
        return [*session_routes(self._table), stop]

    async def _table(self) -> StandardSession:
        return self

    async def _stop(self, request: Request) -> Response:
        """End the session, and this process with it. The answer does not wait for that."""
        self.get(request.places["name"]).hosted.runner.end()
        return NO_CONTENT

    # What the front reports

    def rejected(self, error: ClientProtocolError) -> None:
        log().info("web.rejected", reason=str(error))

    def failed(self, error: Exception) -> None:
        log().error("internal.error", what="control API", exc_info=error)


async def _listen(session: StandardSession, name: str | None, wish: str) -> UnixFront:
    """Take a name on this machine: the one that was asked for, or one like it.

    Raises :class:`ConfigError`, where it is taken :class:`Conflict`.
    """
    if name is not None:
        registry.check_name(name)
    for candidate in [name] if name is not None else registry.names_like(wish):
        path = registry.socket_path(candidate)
        if await trio.to_thread.run_sync(registry.runs, candidate):
            continue
        front = UnixFront(session.routes(), session, path=path)
        with suppress(Conflict):  # another one is quicker
            await front.listen()
            return front
    raise Conflict(
        f"a session {name or wish!r} runs already; choose another --name, or see kmux ps"
    )


async def run(options: Options, show: Callable[[str], None] | None = None) -> int:
    """Serve one kernel until it is ended. Returns the exit status for the process.

    Raises :class:`ConfigError` and :class:`KernelGone` where it cannot be started.
    """
    found = connection.read(options.existing) if options.existing is not None else None
    kernel_name = _name_of(found) if found is not None else options.kernel
    wanted = Wanted(notebook=_notebook(), cwd=os.getcwd(), trust=options.trust)
    chosen, pool = None, None
    if found is not None:
        language = env_source = ""
    elif options.kernel == AUTO:
        chosen = await choose(wanted, options.settings)
        pool = await trio.to_thread.run_sync(environments.pool, options.settings)
        kernel_name, language, env_source = chosen.kernel_name, chosen.language, chosen.env_source
    else:
        language, env_source = specs.find(options.kernel).language, FROM_KERNELSPEC
    file = options.connection_file
    owned = file is not None and (file.exists() or _is_run_by_jupyter())
    info = connection.read(file) if file is not None and owned else _fresh_info(options, found)
    wish = options.name or Path(os.environ.get("JPY_SESSION_NAME", "")).stem or kernel_name
    session = StandardSession(language, env_source)
    front = await _listen(session, options.name, wish)
    name = front.path.stem
    display = Display(None if owned else show)
    private = runtime_dir() / "kernels" / f"{name}-{secrets.token_hex(4)}.json"
    private.parent.mkdir(mode=0o700, exist_ok=True)

    async def prepare(launch: LaunchOptions, tell: Tell) -> LaunchOptions:
        now = await choose(wanted, options.settings, had=session.env_source)
        prepared = await complete(
            launch, now, wanted, options.settings, tell, had=session.environment, pool=pool
        )
        former, session.env_source = session.environment, now.env_source
        session.environment = prepared.command.key if prepared.command is not None else ""
        if former != session.environment:
            await trio.to_thread.run_sync(_give_back, pool, former)
        return prepared

    plan = Plan(
        name=name,
        kernel_name=kernel_name,
        launch=LaunchOptions(
            kernel_name=kernel_name,
            connection_file=private,
            key=info.key,
            signature_scheme=info.signature_scheme,
            encrypt=options.encrypt_kernel,
            arguments=options.kernel_arguments,
        ),
        prepare=prepare if chosen is not None else None,
        found=found,
        policy=_policy(options, owned),
        records=options.record,
    )
    if file is None:
        file = Path(jupyter_runtime_dir()) / f"kernel-kmux-{name}.json"
    written: list[Path] = []
    replay_file: Path | None = None
    try:
        async with open_host() as host, trio.open_nursery() as nursery:

            def changed(what: str, client: ClientId, name: str) -> None:
                if comes_back(client):
                    display.client(what, name, len(visible(runner)))

            session.hosted = hosted = HostedSession(host, plan, changed=changed)
            session.file = file
            runner = hosted.runner
            if hosted.not_recorded:
                display.not_recorded(hosted.not_recorded)
            endpoint = hosted.attach(info, owner_pid=_owner_pid() if owned else None)
            await nursery.start(_obey_signals, runner, display, owned)  # before a file is written
            if not owned:
                connection.write(file, endpoint.info)
                written.append(file)
            if options.replay:
                replaying = hosted.attach(_beside(endpoint.info), REPLAY_TAG, replays=True)
                replay_file = Path(jupyter_runtime_dir()) / f"kernel-kmux-{name}-replay.json"
                connection.write(replay_file, replaying.info)
                written.append(replay_file)
            nursery.start_soon(front.serve)
            if owned:
                nursery.start_soon(_follow_parent, runner)
            log().info("session.started", session=name, kernel=kernel_name, file=str(file))
            display.started(session.describe(), replay_file, twice="ends it")
            status = await hosted.run()
            nursery.cancel_scope.cancel()
    finally:
        _give_back(pool, session.environment)
        front.close()
        for each in written:
            each.unlink(missing_ok=True)
        private.unlink(missing_ok=True)
    if not owned or status is None:
        return 0
    return status if status >= 0 else 128 - status


def _give_back(pool: Pool | None, key: str) -> None:
    """A kernel has ended that was in this environment, if there is one."""
    if pool is not None and key:
        with suppress(StoreError):  # the daemon sweeps it
            pool.given_back(key)


def _notebook() -> str | None:
    """Return the notebook that the kernel is for, as jupyter_server says it."""
    path = os.environ.get("JPY_SESSION_NAME", "")
    return path if os.path.isabs(path) and os.path.isfile(path) else None


def _policy(options: Options, owned: bool) -> Policy:
    """Return what is done when the kernel is gone: somebody else may decide that."""
    policy = options.policy
    if owned or options.existing is not None:
        policy = msgspec.structs.replace(policy, on_death="end")
    if options.existing is not None:
        policy = msgspec.structs.replace(policy, owns_kernel=False, restart="refuse")
    return policy


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
                display.interrupted("end the kernel")
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
