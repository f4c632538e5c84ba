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
from typing import Any

import msgspec
import trio
import zmq
import zmq.asyncio
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase

from proxy.errors import KernelGone
from proxy.kernels.asyncio_thread import AsyncioThread
from proxy.kernels.ports import ReservedPorts
from proxy.kernels.specs import RealKernelSpecManager
from proxy.wire.connection import ConnectionInfo, parse

REMOTE_POLL_SECONDS = 1.0
"""How often a kernel without a local process (a provisioner's) is asked whether it lives."""
_PR_SET_PDEATHSIG = 1


class LaunchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to launch a kernel. ``key`` and ``signature_scheme`` are what it will sign with."""

    kernel_name: str
    connection_file: Path
    key: str
    signature_scheme: str = "hmac-sha256"
    cwd: str | None = None
    env: dict[str, str] = {}
    arguments: tuple[str, ...] = ()
    """Appended to the command line of the kernelspec."""
    encrypt: bool = False
    """CurveZMQ between kmux and the kernel, where its kernelspec says that it can."""


class KernelProcess:
    """A running kernel. Made by :func:`launch`."""

    def __init__(
        self,
        asyncio_thread: AsyncioThread,
        manager: AsyncKernelManager,
        ports: ReservedPorts,
        output: int | None,
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
        self.pid: int | None = getattr(manager.provisioner, "pid", None)

    @property
    def interrupt_mode(self) -> str:
        """ "signal" or "message", as the kernelspec says."""
        spec = self._manager.kernel_spec
        return str(spec.interrupt_mode) if spec else "signal"

    async def wait(self) -> int | None:
        """Wait for the process to end. Returns its exit status; negative for a signal.

        None where a provisioner does not know. When cancelled, the process goes on.
        """
        if self.pid is not None:
            try:
                pidfd = os.pidfd_open(self.pid)
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
                return status
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
    and by the parent-death signal where it is a process of this machine. Raises
    :class:`KernelGone` where it cannot be started.
    """
    manager = AsyncKernelManager(
        kernel_name=options.kernel_name,
        kernel_spec_manager=RealKernelSpecManager(),
        context=zmq.asyncio.Context(context),  # a shadow: no further I/O thread
        connection_file=str(options.connection_file),
        transport_encryption="auto" if options.encrypt else "disabled",
        cache_ports=False,
    )
    manager.session.key = options.key.encode()
    manager.session.signature_scheme = options.signature_scheme
    arguments: dict[str, Any] = {"env": {**os.environ, **options.env}, "cwd": options.cwd}
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
            spec = manager.kernel_spec
            if spec is not None and not spec.metadata.get("kernel_provisioner"):
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
    return KernelProcess(asyncio_thread, manager, ports, read_end)


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
