"""A notebook run by nbclient as it is run by anybody, and through kmux, of which it is exported.

Through kmux it is run in two ways: ``watched`` by nbclient, which does what a frontend does
(Output widgets are told what they show), and ``alone``, by a client that only sends the cells, as
when the browser is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import nbformat
import zmq
from jupyter_client import AsyncKernelManager, BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from conformance.errors import ConformanceError
from conformance.redirect import write_redirects
from conformance.suites import PYTHON

Side = Literal["direct", "watched", "alone"]
SIDES: tuple[Side, ...] = ("direct", "watched", "alone")

CELL_SECONDS = 60
ROOT = Path(__file__).parents[2]
SKIPPED_TAG = "skip-execution"
"""nbclient's, as is what is passed over besides: what is no code, and empty cells."""
HISTORY = "--HistoryManager.hist_file=:memory:"
_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
"""ipykernel repeats there what its children print."""
_FOREIGN = ("JUPYTER", "JPY_", "IPYTHON", "KMUX", "XDG_", "PYTEST")
"""Settings of the caller that a kernel or kmux would heed."""


def run(notebook: Any, side: Side, directory: Path) -> Any:
    """Return what comes of a notebook. Its kernel runs in ``directory``.

    Raises :class:`ConformanceError` where it cannot be run at all.
    """
    cleared = copy.deepcopy(notebook)
    for cell in cleared.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    cleared.metadata.pop("widgets", None)
    with _scratch() as (scratch, environment):
        if side == "direct":
            _nbclient(cleared, directory, environment, KernelSpecManager())
            return cleared
        kernels = scratch / "jupyter"
        write_redirects(kernels, (PYTHON,), scratch / "counted")
        specs = KernelSpecManager(kernel_dirs=[str(kernels / "kernels")])
        if side == "watched":
            _nbclient(cleared, directory, environment, specs)
            exported = _export(environment)
        else:
            exported = _alone(cleared, directory, environment, specs)
        if not (scratch / "counted").exists():
            raise ConformanceError("the kernel did not go through kmux")
        return exported


def _nbclient(
    notebook: Any, directory: Path, environment: dict[str, str], specs: KernelSpecManager
) -> None:
    async def execute() -> None:
        manager = AsyncKernelManager(kernel_name=PYTHON.name, kernel_spec_manager=specs)
        client = NotebookClient(notebook, km=manager, allow_errors=True, timeout=CELL_SECONDS)
        client.resources = {"metadata": {"path": str(directory)}}
        awake = asyncio.create_task(_keep_awake(client))
        try:
            await client.async_execute(env=environment, **_QUIET)
        finally:
            awake.cancel()
            if client.kc is not None:
                client.kc.stop_channels()
            await manager.shutdown_kernel()

    asyncio.run(execute())


async def _keep_awake(client: NotebookClient) -> None:
    """Have nbclient look at its shell socket now and then.

    It sends for Output widgets past pyzmq's back on the socket that it waits for, which eats the
    edge: now and then it sleeps through a reply until its time-out, with any kernel.
    """
    while True:
        await asyncio.sleep(0.05)
        if client.kc is not None:
            client.kc.shell_channel.socket.get(zmq.EVENTS)


def _alone(
    notebook: Any, directory: Path, environment: dict[str, str], specs: KernelSpecManager
) -> Any:
    manager = KernelManager(kernel_name=PYTHON.name, kernel_spec_manager=specs)
    manager.start_kernel(env=environment, cwd=str(directory), extra_arguments=[HISTORY], **_QUIET)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=CELL_SECONDS)
        for cell in notebook.cells:
            runs = cell.cell_type == "code" and cell.source.strip()
            if runs and SKIPPED_TAG not in cell.metadata.get("tags", []):
                _run_cell(client, cell.source)
        return _export(environment)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def _run_cell(client: BlockingKernelClient, code: str) -> None:
    """Run a cell to its end, and look at nothing of it."""
    msg_id = client.execute(code, allow_stdin=False, stop_on_error=False)
    deadline = time.monotonic() + CELL_SECONDS
    while True:
        message = client.get_iopub_msg(timeout=max(0.001, deadline - time.monotonic()))
        is_mine = message["parent_header"].get("msg_id") == msg_id
        if is_mine and message["content"].get("execution_state") == "idle":
            break
    while client.get_shell_msg(timeout=CELL_SECONDS)["parent_header"].get("msg_id") != msg_id:
        pass


def _export(environment: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "proxy", "export", PYTHON.name, "-o", "-"]
    exported = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if exported.returncode:
        raise ConformanceError(f"kmux export: {exported.stderr.strip()}")
    return nbformat.reads(exported.stdout, as_version=4)


@contextlib.contextmanager
def _scratch() -> Iterator[tuple[Path, dict[str, str]]]:
    """Make directories of a run's own, and the environment that names them."""
    scratch = Path(tempfile.mkdtemp(prefix="kn-"))  # short: it holds Unix sockets
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    for variable, part in {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "KMUX_RUNTIME_DIR": "k",
        "KMUX_DATA_DIR": "d",
        "MPLCONFIGDIR": "matplotlib",
    }.items():
        (scratch / part).mkdir(mode=0o700)
        environment[variable] = str(scratch / part)
    environment["PYTHONPATH"] = str(ROOT)
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    environment |= {"COLUMNS": "80", "LINES": "24"}  # tracebacks are as wide
    environment["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    try:
        yield scratch, environment
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
