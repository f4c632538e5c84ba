"""A kernel that jupyter_client's manager has started, as every application on it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

from tests.frontends.kmux_process import Client, Workplace

IN_DAEMON = {"KMUX_DAEMON_EXECUTION": "true"}


class Managed:
    """A manager, and a client of its kernel."""

    def __init__(self, manager: KernelManager, client: Client) -> None:
        self.manager = manager
        self.client = client

    @property
    def file(self) -> str:
        file: str = self.manager.connection_file
        return file

    @property
    def process(self) -> psutil.Process:
        """What the manager takes for the kernel."""
        return psutil.Process(self.manager.provisioner.pid)

    def value(self, expression: str) -> str:
        """Evaluate in the kernel."""
        assert self.client.run(f"print({expression})")["status"] == "ok"
        return self.client.text().rstrip("\n")


def manager_of(workplace: Workplace, kernel: str, file: str | None = None) -> KernelManager:
    """Make a manager that looks for kernelspecs where the workplace has them."""
    specs = KernelSpecManager()
    specs.kernel_dirs = [str(workplace.root / "jupyter" / "kernels"), *specs.kernel_dirs]
    where = {"connection_file": file} if file is not None else {}
    return KernelManager(kernel_name=kernel, kernel_spec_manager=specs, **where)


@contextmanager
def started(
    workplace: Workplace,
    kernel: str = "python3-shared",
    *,
    notebook: Path | None = None,
    **options: Any,
) -> Iterator[Managed]:
    """Start a kernel; it is shut down, as the application would do, when the block is left."""
    manager = manager_of(workplace, kernel, str(workplace.root / "runtime" / "kernel-of-test.json"))
    environment = {**workplace.environment, **IN_DAEMON, **options.pop("env", {})}
    if notebook is not None:
        environment["JPY_SESSION_NAME"] = str(notebook)
    manager.start_kernel(env=environment, **options)
    client = Client(connection_file=manager.connection_file)
    client.load_connection_file()
    client.start_channels()
    try:
        client.attach()
        yield Managed(manager, client)
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel()
        manager.cleanup_resources()
