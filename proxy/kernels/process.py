"""One kernel process, from its launch to its end, through jupyter_client's manager.

The manager brings kernelspecs' rules for command lines and environments, and kernel provisioners:
whatever can start a kernel elsewhere works. kmux opens its own channels, asks for the shutdown
itself, and uses the manager for launching and for signals only. Each launch is a new manager with
new ports: frontends see kmux's, which stay.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import trio
import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from proxy.errors import KernelGone
from proxy.kernel_command import FROM_KERNELSPEC, KernelCommand
from proxy.kernels.asyncio_thread import AsyncioThread
from proxy.kernels.keeping import KernelDirectory, Launch
from proxy.kernels.ports import ReservedPorts
from proxy.kernels.provisioners import provisioner_of
from proxy.kernels.specs import RealKernelSpecManager
from proxy.logs import log
from proxy.wire.connection import ConnectionInfo, parse

REMOTE_POLL_SECONDS = 1.0
"""How often a kernel without a local process (a provisioner's) is asked whether it lives."""
_PR_SET_PDEATHSIG = 1

_released: list[AsyncKernelManager] = []
"""Managers of kernels that live on, when kmux is about to end: subprocess complains of a process
that still runs when its object is collected."""


class LaunchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to launch a kernel. ``key`` and ``signature_scheme`` are what it will sign with."""

    kernel_name: str
    command: KernelCommand | None = None
    """How it is started; None: as its kernelspec says."""
    env_source: str = FROM_KERNELSPEC
    """Where its environment is from, for who wants to know."""
    connection_file: Path
    key: str
    signature_scheme: str = "hmac-sha256"
    cwd: str | None = None
    env: dict[str, str] = {}
    """All of its environment, but for what its kernelspec adds. Empty: kmux's own."""
    arguments: tuple[str, ...] = ()
    """Appended to the command line of the kernelspec."""
    encrypt: bool = False
    """CurveZMQ between kmux and the kernel, where its kernelspec says that it can."""
    kept_in: KernelDirectory | None = None
    """Where the traces of a kernel are that outlives kmux; others end with it."""
    identity: str = ""
    """kmux's routing identity at the kernel. Empty: a new one for each kernel."""


class Process(Protocol):
    """A running kernel."""

    @property
    def info(self) -> ConnectionInfo:
        """Where it listens."""

    @property
    def pid(self) -> int | None:
        """Its process, where it has one on this machine."""

    @property
    def interrupt_mode(self) -> str:
        """ "signal" or "message", as its kernelspec says."""

    async def wait(self) -> int | None:
        """Wait for it to end. Returns its exit status, negative for a signal, if that is known.

        When cancelled, the process goes on.
        """

    def signal_now(self, number: int) -> bool:
        """Send a signal to its process group; False where only :meth:`signal` can."""

    async def signal(self, number: int) -> None:
        """Send a signal to its process group. It is no error if it has ended."""

    async def terminate(self) -> None:
        """Ask it to end (SIGTERM, or what its provisioner does)."""

    async def kill(self) -> None:
        """End it at once (SIGKILL, or what its provisioner does)."""

    async def cleanup(self) -> None:
        """Give back ports and files once it has ended."""

    def release(self) -> None:
        """Let go of it; it lives on."""


class KernelProcess:
    """A running kernel. Made by :func:`launch`."""

    def __init__(
        self,
        asyncio_thread: AsyncioThread,
        manager: _Manager,
        ports: ReservedPorts,
        output: int | None,
        kept_in: KernelDirectory | None = None,
    ) -> None:
        self._asyncio = asyncio_thread
        self._manager = manager
        self._ports = ports
        self.output = output
        """Descriptor of a pipe with what the process writes, for the caller to read and close."""
        fields = {
            name: value.decode() if isinstance(value, bytes) else value  # keys are bytes here
            for name, value in manager.get_connection_info().items()
        }
        self.info: ConnectionInfo = parse(msgspec.json.encode(fields), "the provisioner's answer")
        self._launched: int | None = getattr(manager.provisioner, "pid", None)
        """The process that was launched: the kernel, or who keeps it."""
        self._kept_in = kept_in
        self._command = manager.command

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that was run, where it was run here."""
        return self._command

    @property
    def pid(self) -> int | None:
        """The kernel's process."""
        kept = self._kept_in.pid() if self._kept_in is not None else None
        return self._launched if kept is None else kept

    @property
    def interrupt_mode(self) -> str:
        """ "signal" or "message", as the kernelspec says."""
        spec = self._manager.kernel_spec
        return str(spec.interrupt_mode) if spec else "signal"

    async def wait(self) -> int | None:
        """Wait for the process to end. Returns its exit status; negative for a signal.

        None where a provisioner does not know. When cancelled, the process goes on.
        """
        if self._launched is not None:
            try:
                pidfd = os.pidfd_open(self._launched)
            except OSError:  # gone already, or not a process of this machine
                pass
            else:
                try:
                    await trio.lowlevel.wait_readable(pidfd)
                finally:
                    os.close(pidfd)
        while (provisioner := self._provisioner) is not None:
            status: int | None = await self._asyncio.call(provisioner.poll())
            if status is not None:
                kept = self._kept_in.exit_status() if self._kept_in is not None else None
                return status if kept is None else kept
            await trio.sleep(REMOTE_POLL_SECONDS)
        return None

    @property
    def _provisioner(self) -> KernelProvisionerBase | None:
        """What holds the process, while there is one."""
        provisioner = self._manager.provisioner
        return provisioner if provisioner is not None and provisioner.has_process else None

    def signal_now(self, number: int) -> bool:
        """Send a signal to the process group; False where only :meth:`signal` can.

        An interrupt that comes later than its reply would hit what its sender asks next.
        """
        provisioner = self._provisioner
        if type(provisioner) is not LocalProvisioner or not provisioner.pgid:
            return False
        try:
            os.killpg(provisioner.pgid, number)
        except OSError:
            return False
        return True

    async def signal(self, number: int) -> None:
        """Send a signal to the process group. It is no error if the process has ended."""
        if (provisioner := self._provisioner) is not None:
            with suppress(ProcessLookupError):
                await self._asyncio.call(provisioner.send_signal(number))

    async def terminate(self) -> None:
        """Ask the process to end (SIGTERM, or what its provisioner does)."""
        if (provisioner := self._provisioner) is not None:
            await self._asyncio.call(provisioner.terminate())

    async def kill(self) -> None:
        """End the process at once (SIGKILL, or what its provisioner does)."""
        if (provisioner := self._provisioner) is not None:
            await self._asyncio.call(provisioner.kill())

    async def cleanup(self) -> None:
        """Give back ports and files once the process has ended."""
        await self._asyncio.call(self._manager._async_cleanup_resources())
        self._ports.close()

    def release(self) -> None:
        """Let go of the process; it lives on."""
        _released.append(self._manager)
        self._manager._close_control_socket()
        self._ports.close()


async def launch(
    asyncio_thread: AsyncioThread,
    context: zmq.Context[zmq.Socket[bytes]],
    options: LaunchOptions,
    *,
    keep_ports: bool = True,
) -> KernelProcess:
    """Start a kernel process.

    Without ``keep_ports`` its ports are not kept free until it has bound them: for a ZMQ library
    that cannot bind a port that is kept.

    It ends with kmux: by its own watch on JPY_PARENT_PID where the kernel has one (ipykernel),
    and by the parent-death signal where it is a process of this machine; but for one that is
    ``kept_in`` a directory. Raises :class:`KernelGone` where it cannot be started.
    """
    kept_in = options.kept_in
    manager = _Manager(
        kernel_name=options.kernel_name,
        kernel_spec_manager=RealKernelSpecManager(),
        context=zmq.asyncio.Context(context),  # a shadow: no further I/O thread
        connection_file=str(kept_in.connection_file if kept_in else options.connection_file),
        transport_encryption="auto" if options.encrypt else "disabled",
        cache_ports=False,
    )
    manager.session.key = options.key.encode()
    manager.session.signature_scheme = options.signature_scheme
    arguments: dict[str, Any] = {"env": dict(options.env or os.environ), "cwd": options.cwd}
    arguments["extra_arguments"] = list(options.arguments)
    try:
        with ExitStack() as on_failure:
            ports = ReservedPorts(manager.ip)
            on_failure.callback(ports.close)
            for name, port in ports.by_name.items():
                setattr(manager, name, port)
            if not keep_ports:
                ports.close()
            read_end = write_end = None
            if options.command is not None:
                manager._kernel_spec = _as_kernelspec(options.command)
                arguments["env"] = options.command.environment(arguments["env"])
            spec = manager.kernel_spec
            log().info(
                "environment.detected",
                source=options.env_source,
                kernel=options.kernel_name,
                kernelspec=spec.resource_dir if spec else None,
                program=spec.argv[0] if spec and spec.argv else None,
            )
            manager.provisioner = provisioner_of(manager)
            is_local = isinstance(manager.provisioner, LocalProvisioner)
            if kept_in is not None:
                launch = Launch(
                    kernel_name=options.kernel_name,
                    interrupt_mode=str(spec.interrupt_mode) if spec else "signal",
                    identity=options.identity,
                )
                write_end = kept_in.begin(launch)
                manager.keeps_file = True
            if kept_in is not None and is_local:
                manager.keeper = kept_in.command()
                arguments |= {
                    "independent": True,
                    "stdin": subprocess.DEVNULL,
                    "stdout": write_end,
                    "stderr": write_end,
                }
            elif is_local:
                read_end, write_end = os.pipe()
                on_failure.callback(os.close, read_end)
                arguments |= {
                    "stdin": subprocess.DEVNULL,
                    "stdout": write_end,
                    "stderr": write_end,
                    "preexec_fn": _die_with_parent(),
                }
            try:
                await asyncio_thread.call(manager._async_start_kernel(**arguments))
            finally:
                if write_end is not None:
                    os.close(write_end)
            on_failure.pop_all()
    except Exception as error:
        raise KernelGone(
            f"kernel {options.kernel_name!r} cannot be started: {_one_line(error)}"
        ) from error
    return KernelProcess(asyncio_thread, manager, ports, read_end, kept_in)


def _as_kernelspec(command: KernelCommand) -> KernelSpec:
    """Make what a manager knows how to start. Its variables are given apart: in a kernelspec a
    dollar sign would mean something."""
    return KernelSpec(
        argv=list(command.argv),
        display_name=command.display_name,
        language=command.language,
        interrupt_mode=command.interrupt_mode,
    )


class _Manager(AsyncKernelManager):  # type: ignore[misc,unused-ignore]
    """One that puts a keeper ahead of the kernel's command, and may leave its file."""

    keeper: list[str] | None = None
    keeps_file = False
    command: tuple[str, ...] = ()
    """The kernel's own command line, once it was made."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command: list[str] = super().format_kernel_cmd(extra_arguments)
        self.command = tuple(command)
        return [*(self.keeper or ()), *command]

    def cleanup_connection_file(self) -> None:
        if not self.keeps_file:  # it is called when a manager is collected, too
            super().cleanup_connection_file()


def _die_with_parent() -> Callable[[], None]:
    """Make a function for the child, between fork and exec: SIGKILL when its parent dies."""
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
