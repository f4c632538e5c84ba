"""A kernel that waits, started before anybody asks for it, and handed over when somebody does.

It is one that outlives kmux from its beginning (``keeping.py``), in what is going to be a session's
directory. Until it is handed over, a file there says that it is nobody's, and a socket of kmux's
keeps it alive (``warm_main.py``). From then on :func:`adopted.adopt` finds it there, as it finds
every kernel that another kmux launched.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import msgspec
import trio

from proxy.errors import ConfigError, KernelGone
from proxy.kernel_command import CONNECTION_FILE, KernelCommand
from proxy.kernels.adopted import ending
from proxy.kernels.hindrances import hindrance
from proxy.kernels.keeping import KernelDirectory, Launch
from proxy.kernels.ports import ReservedPorts
from proxy.wire import connection
from proxy.wire.connection import ConnectionInfo

START_SECONDS = 60.0
"""A kernel that does not wait by then is given up. It takes 1 to 2 s where nothing else runs."""
HAND_OVER_SECONDS = 10.0
"""... and one that has not been handed over by then. It takes some milliseconds, or as long as
the user's configuration files do."""
END_SECONDS = 1.0
"""How long its keeper is waited for, which ends with it."""
_MAIN = Path(__file__).with_name("warm_main.py")
_LAUNCHER = ("-m", "ipykernel_launcher")

_running: set[subprocess.Popen[bytes]] = set()
"""Keepers that were not waited for yet: subprocess complains of one that is let go of."""


class WarmKernel:
    """A kernel that waits. Made by :func:`warm_up`, for one use; to be ended if it is not used."""

    def __init__(
        self,
        directory: KernelDirectory,
        info: ConnectionInfo,
        identity: str,
        started_with: Mapping[str, str],
        keeper: subprocess.Popen[bytes],
        channel: trio.SocketStream,
    ) -> None:
        self.directory = directory
        self.info = info
        """Where it listens, and the key that it signs with."""
        self.identity = identity
        """kmux's routing identity at the kernel."""
        self.started_with = started_with
        """The environment that it began with, for :func:`hindrances.hindrance`."""
        self._keeper = keeper
        _running.add(keeper)
        self._channel = channel
        self._ended = trio.Event()

    @property
    def key(self) -> str:
        """What it signs with."""
        return self.info.key

    @property
    def is_alive(self) -> bool:
        """Whether its process runs, for nobody or for somebody."""
        return not self._ended.is_set()

    async def begin(
        self, *, cwd: str, env: Mapping[str, str], arguments: Sequence[str] = ()
    ) -> None:
        """Tell it to become the kernel that is started in that directory, with all of that
        environment.

        It takes some milliseconds, of which most are for the history's file to be on the disk.
        Raises :class:`KernelGone` where it cannot be: then a kernel is to be started anew, and this
        one ended, as when this is cancelled.
        """
        why = hindrance(self.started_with, env, arguments)
        if why is not None:
            raise KernelGone(f"a kernel that waited is of no use: {why}")
        if session := env.get("JPY_SESSION_NAME"):  # jupyter_client would have written it
            self._note(session)
        with trio.move_on_after(HAND_OVER_SECONDS), suppress(trio.BrokenResourceError):
            await self._channel.send_all(_line({"cwd": cwd, "env": dict(env)}))

    async def handed_over(self) -> None:
        """Wait until it is that kernel.

        What the user has run at a start (extensions, startup files) comes next, and then its first
        request. From then on it belongs to its directory's session. Raises as :meth:`begin`.
        """
        answer: dict[str, str] = {}
        with trio.move_on_after(HAND_OVER_SECONDS), suppress(trio.BrokenResourceError):
            answer = await self._answer()
        if answer.get("state") != "runs":
            why = answer.get("why") or await self._last_words()
            raise KernelGone(f"a kernel that waited could not be handed over: {why}")
        self.directory.belongs()
        await self._channel.aclose()

    async def end(self, *, keeps_directory: bool = False) -> None:
        """End it at once, and remove its directory, unless that is somebody's. It is no error if
        it has ended.

        When cancelled, it is ended all the same.
        """
        if self.is_alive:  # it was not waited for, so the number is still its own
            with suppress(ProcessLookupError):
                os.killpg(self._keeper.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await self._channel.aclose()
            with trio.move_on_after(END_SECONDS):
                await self.reap()
        if keeps_directory:
            self.directory.forget()
            self.directory.belongs()
        elif self.directory.is_prewarmed:  # else it is a session's by now
            shutil.rmtree(self.directory.path, ignore_errors=True)

    async def reap(self) -> None:
        """Wait for it to end; its keeper is our child."""
        if not self.is_alive:
            return
        descriptor = os.pidfd_open(self._keeper.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        self._keeper.poll()
        _running.discard(self._keeper)
        self._ended.set()

    def _note(self, session: str) -> None:
        extra = {**self.info.extra, "jupyter_session": session}
        self.info = msgspec.structs.replace(self.info, extra=extra)
        try:
            connection.write(self.directory.connection_file, self.info)
        except ConfigError as error:
            raise KernelGone(f"a kernel that waited could not be handed over: {error}") from None

    async def until_it_waits(self) -> None:
        """Wait until it does. Raises :class:`KernelGone` with the reason where it never will."""
        answer: dict[str, str] = {}
        with trio.move_on_after(START_SECONDS), suppress(trio.BrokenResourceError):
            answer = await self._answer()
        if answer.get("state") != "waiting":
            raise KernelGone(answer.get("why") or await self._last_words())

    async def _answer(self) -> dict[str, str]:
        """Return what it says, nothing where it has ended."""
        raw = b""
        while not raw.endswith(b"\n"):
            piece = await self._channel.receive_some()
            if not piece:
                return {}
            raw += piece
        answer: dict[str, str] = json.loads(raw)
        return answer

    async def _last_words(self) -> str:
        with trio.move_on_after(END_SECONDS):
            await self._ended.wait()
        if self.is_alive:
            return "it does not answer"
        said = "; ".join(self.directory.last_output(1))
        return ending(self.directory.exit_status()) + (f": {said}" if said else "")


def can_wait(command: KernelCommand) -> bool:
    """Return whether a kernel with that command line can be started before it is asked for."""
    return command.argv[1:3] == _LAUNCHER


async def warm_up(
    nursery: trio.Nursery,
    command: KernelCommand,
    directory: KernelDirectory,
    *,
    env: Mapping[str, str],
    key: str,
    identity: str,
    signature_scheme: str = "hmac-sha256",
    kernel_name: str = "python3",
) -> WarmKernel:
    """Start a kernel that waits, and return when it does.

    ``directory`` is that of a session which does not exist yet, ``env`` all of the environment that
    it begins with (:meth:`KernelCommand.environment`). ``nursery`` lives as long as who keeps
    kernels: each is waited for there until it ends, also one that was handed over. When cancelled,
    it is ended. Raises :class:`KernelGone` with one line, :class:`StoreError`.
    """
    if not can_wait(command):
        raise KernelGone("only a kernel that is started by -m ipykernel_launcher can wait")
    launch = Launch(
        kernel_name=kernel_name, interrupt_mode=command.interrupt_mode, identity=identity
    )
    info = ConnectionInfo(
        key=key,
        signature_scheme=signature_scheme,
        extra={"kernel_name": kernel_name, "jupyter_session": ""},
    )
    try:
        with ExitStack() as until_it_waits:
            ours, its = socket.socketpair()
            until_it_waits.callback(its.close)
            until_failure = until_it_waits.enter_context(ExitStack())
            until_failure.callback(shutil.rmtree, directory.path, ignore_errors=True)
            until_failure.callback(ours.close)
            output = directory.begin(launch, prewarmed=True)
            until_it_waits.callback(os.close, output)
            ports = until_it_waits.enter_context(closing(ReservedPorts(info.ip)))
            info = msgspec.structs.replace(info, **ports.by_name)
            connection.write(directory.connection_file, info)
            keeper = _spawn(command, directory, env, output, its.fileno())
            its.close()  # or its end would not be seen
            channel = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
            kernel = WarmKernel(directory, info, identity, dict(env), keeper, channel)
            until_failure.pop_all()
            nursery.start_soon(kernel.reap)
            try:
                await kernel.until_it_waits()
            except BaseException:
                await kernel.end()
                raise
    except (KernelGone, ConfigError, OSError) as error:
        raise KernelGone(f"no kernel of {command.argv[0]} can wait: {error}") from None
    return kernel


def sweep(directories: Iterable[KernelDirectory]) -> None:
    """End what a kmux that was killed has left waiting, and remove its directories.

    Those without the mark are somebody's and stay. Kernels end by themselves when kmux does; one
    that was just being handed over does not.
    """
    for directory in directories:
        if not directory.is_prewarmed:
            continue
        directory.kill()
        shutil.rmtree(directory.path, ignore_errors=True)


def _spawn(
    command: KernelCommand,
    directory: KernelDirectory,
    env: Mapping[str, str],
    output: int,
    channel: int,
) -> subprocess.Popen[bytes]:
    """Start it under its keeper, in a session of its own. Returns the keeper's process."""
    rest = [part.replace(CONNECTION_FILE, str(directory.connection_file)) for part in command.argv]
    python = rest.pop(0)
    return subprocess.Popen(
        [*directory.command(), python, str(_MAIN), str(channel), *rest],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=env,
        pass_fds=(channel,),
        start_new_session=True,
    )


def _line(message: Mapping[str, object]) -> bytes:
    """By json, since a variable may have bytes that are no text."""
    return json.dumps(message).encode() + b"\n"
