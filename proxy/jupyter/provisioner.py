"""A kernel provisioner: an application on jupyter_client starts all its kernels under the daemon.

    jupyter lab --KernelProvisionerFactory.default_provisioner_name=kmux-provisioner

What :class:`LocalProvisioner` has is a process; here it is an :class:`Attachment`, on the ports and
the connection file that the application's manager has chosen. So what a manager believes of its
kernel stays true (``cache_ports``, a restart on the same ports, an encrypted connection), and it
asks for a restart and a shutdown as it asks any kernel, on the control channel; kmux answers.

    the manager                         here
    start_kernel                        attach: the session of its notebook, or a new one
    interrupt_kernel                    an interrupt, dropped where a shutdown follows at once
    shutdown_kernel                     the goodbye ends the attachment; the kernel goes on
    shutdown_kernel(now=True)           kill: hang up
    restart_kernel                      a restart for everybody, and attached again
    restart_kernel(now=True)            the same, though the manager only kills and starts
    is_alive                            whether it is attached; new daemons make no difference
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from proxy.daemon.vocabulary import ShimRequest
from proxy.errors import KmuxError
from proxy.jupyter.attachment import Attachment, exit_status, failure, new_session
from proxy.kernels.provisioners import AsksKmux
from proxy.kernels.specs import SHARED_METADATA

POLL_SECONDS = 0.1
"""As :class:`LocalProvisioner`; managers that wait for an end look as often."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT)


class KmuxProvisioner(AsksKmux, LocalProvisioner):  # type: ignore[misc,unused-ignore]
    """One kernel of an application, which the daemon has."""

    _attachment: Attachment | None = None
    _was_killed = False
    """Whether the manager ended a kernel that was alive: where it starts one again, it wants
    another one."""
    _arguments: tuple[str, ...]
    _environment: dict[str, str]

    # What a manager asks before and while it starts a kernel

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose ports and write the connection file, as for a process."""
        # The daemon's own manager applies the kernelspec's env and argv.
        self._environment = dict(kwargs.get("env") or os.environ)
        self._arguments = tuple(kwargs.get("extra_arguments") or ())
        prepared: dict[str, Any] = await super().pre_launch(**kwargs)
        return prepared

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Attach to the session of the notebook, or a new one. Raises :class:`KmuxError`."""
        self.cwd = Path(kwargs.get("cwd") or os.curdir).absolute()  # noqa: ASYNC240
        await self._attach(self._wish(str(self.cwd)))
        self._was_killed = False
        return self.connection_info

    def _wish(self, cwd: str) -> ShimRequest:
        shared = self.kernel_spec.metadata.get(SHARED_METADATA, {})  # its argv runs kmux as well
        name, new = shared.get("session"), None
        if name is None:
            assert self.parent is not None
            new = new_session(
                shared.get("kernel", self.parent.kernel_name),
                self._connection_file,
                self._environment,
                cwd,
                self._arguments,
            )
        return ShimRequest(
            connection_file=self._connection_file,
            owner_pid=os.getpid(),
            name=name,
            new=new,
            restart=self._was_killed,
        )

    @property
    def _connection_file(self) -> str:
        assert self.parent is not None  # as LocalProvisioner: it has the ports
        file: str = self.parent.connection_file
        return os.path.abspath(file)

    async def _attach(self, wish: ShimRequest) -> None:
        attachment = Attachment(wish)

        def over() -> None:
            if (why := failure(attachment.outcome)) is not None:
                self._say(logging.ERROR, str(why))  # a process would have, on its stderr

        await asyncio.to_thread(attachment.open, over)
        if attachment.problem:
            self._say(logging.WARNING, f"{attachment.name}: {attachment.problem}")
        self._attachment = attachment

    # What it asks of a process

    @property
    def has_process(self) -> bool:
        return self._attachment is not None

    async def poll(self) -> int | None:
        """Return None while the kernel is served, else an exit status."""
        if self._attachment is None:
            return 0
        outcome = self._attachment.outcome
        return None if outcome is None else exit_status(outcome)

    async def wait(self) -> int | None:
        """Wait for the end, and forget the attachment."""
        while (status := await self.poll()) is None:  # noqa: ASYNC110 (a thread's)
            await asyncio.sleep(POLL_SECONDS)
        self._attachment = None
        return status

    async def send_signal(self, signum: int) -> None:
        """SIGINT interrupts; a signal that ends a process ends the attachment.

        Others have no meaning for a kernel that is not this application's alone.
        """
        if self._attachment is None:
            return
        if signum == signal.SIGINT:
            await asyncio.to_thread(self._interrupt, self._attachment)
        elif signum in ENDING_SIGNALS:
            self._hang_up()

    def _interrupt(self, attachment: Attachment) -> None:
        try:
            attachment.interrupt()
        except KmuxError as error:
            self._say(logging.WARNING, f"the kernel was not interrupted: {error}")

    def _say(self, level: int, what: str) -> None:
        self.log.log(level, "kmux: %s", what)  # the application's log, not kmux's

    async def kill(self, restart: bool = False) -> None:
        """Let go of the kernel, which goes on."""
        self._was_killed = await self.poll() is None
        self._hang_up()

    async def terminate(self, restart: bool = False) -> None:
        """Let go of the kernel, which goes on: it does not say goodbye."""
        self._hang_up()

    def _hang_up(self) -> None:
        if self._attachment is not None:
            self._attachment.close()

    async def cleanup(self, restart: bool = False) -> None:
        """Give the ports back, unless the manager goes on with them."""
        self._was_killed &= restart
        self._hang_up()
        await super().cleanup(restart=restart)

    # For applications that find their kernels again (``get_provisioner_info``)

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what :meth:`load_provisioner_info` takes, in another process perhaps."""
        info: dict[str, Any] = await super().get_provisioner_info()
        name = self._attachment.name if self._attachment is not None else None
        return {**info, "session": name, "connection_file": self._connection_file}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Attach again, on the same ports. Raises :class:`KmuxError` where that cannot be."""
        await super().load_provisioner_info(provisioner_info)
        if provisioner_info["session"] is not None:
            await self._attach(
                ShimRequest(
                    connection_file=provisioner_info["connection_file"],
                    owner_pid=os.getpid(),
                    name=provisioner_info["session"],
                )
            )
