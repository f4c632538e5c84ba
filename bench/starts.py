"""From asking for a kernel to its first output: of a notebook by a daemon, and a bare process."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.connect import write_connection_file

from bench.client import Client
from bench.errors import BenchError
from bench.kmux_daemon import RunningDaemon
from bench.processes import running
from bench.workspace import Workspace
from proxy.daemon.vocabulary import AUTO, NewSession, SessionInfo
from proxy.environments.consent import YES
from proxy.environments.preparation import in_environment
from proxy.environments.store import Environment, Store

CODE = "print(1)"
RECONNECT_MS = 5
"""How soon the client of a bare kernel tries again to connect: the kernel is yet to bind its ports.
A frontend's libzmq takes 100 ms, and kmux 10; this gives the bare kernel the best case."""


@dataclass(frozen=True)
class Start:
    """When things were there, in seconds after the kernel was asked for."""

    begun: float
    """Its process, or the answer that a session has begun."""
    greeted: float
    """Its reply to kernel_info, and its iopub."""
    output: float
    """The output of its first cell."""


def write_notebook(path: Path, requirements: Sequence[str] | None) -> Path:
    """Write a notebook that lists packages for uv, or with None asks for nothing."""
    metadata: dict[str, Any] = {}
    if requirements is not None:
        metadata["runt"] = {"schema_version": "1", "uv": {"dependencies": list(requirements)}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": []}
    path.write_text(json.dumps(notebook))
    return path


def store_of(workspace: Workspace) -> Store:
    """Return where a workspace's daemon has its environments."""
    return Store(Path(workspace.environment["KMUX_CACHE_DIR"]) / "environments")


def begin(
    daemon: RunningDaemon,
    workspace: Workspace,
    notebook: Path,
    *,
    context: zmq.Context[zmq.Socket[bytes]],
    source: str,
    waited: bool = False,
) -> tuple[Start, SessionInfo]:
    """Begin the session of a notebook, run a cell, and end it.

    Raises :class:`BenchError` where that was measured that was not meant: an environment from
    elsewhere than ``source``, or a kernel that has not ``waited``.
    """
    wish = _wish(workspace, notebook)
    asked = time.perf_counter()
    session = daemon.client.new(wish)
    begun = time.perf_counter()
    try:
        start = _first_output(context, Path(session.connection_file), asked, begun)
        if session.env_source != source:
            raise BenchError(f"the environment is from {session.env_source}, not {source}")
        if _has_waited(session) is not waited:
            raise BenchError(f"a kernel {'was started' if waited else 'has waited'}")
    finally:
        daemon.client.stop_session(session.name)
    return start, session


def begin_to_fill_cache(daemon: RunningDaemon, workspace: Workspace) -> None:
    """Have uv's cache filled with what the pool's environments have, by a notebook that takes one
    where none waits."""
    notebook = write_notebook(workspace.directory / "filling.ipynb", None)
    session = daemon.client.new(_wish(workspace, notebook))
    daemon.client.stop_session(session.name)


def begin_directly(
    environment: Environment, workspace: Workspace, context: zmq.Context[zmq.Socket[bytes]]
) -> Start:
    """Start ipykernel in an environment as a process of its own, run a cell, and end it."""
    file = workspace.new_file("bare")
    write_connection_file(str(file))
    command = in_environment(environment)
    argv = [part.format(connection_file=file) for part in command.argv]
    variables = command.environment(workspace.environment)
    asked = time.perf_counter()
    with running("bare", argv, variables, workspace.directory):
        return _first_output(context, file, asked, time.perf_counter())


def _wish(workspace: Workspace, notebook: Path) -> NewSession:
    """Return what a frontend asks for that opens a notebook."""
    return NewSession(
        kernel=AUTO,
        name=workspace.new_file("start").stem,
        notebook=str(notebook),
        trust=YES,
        cwd=str(notebook.parent),
        env=dict(workspace.environment),
    )


def _has_waited(session: SessionInfo) -> bool:
    assert session.pid is not None
    return b"warm_main.py" in Path(f"/proc/{session.pid}/cmdline").read_bytes()


def _first_output(
    context: zmq.Context[zmq.Socket[bytes]], file: Path, asked: float, begun: float
) -> Start:
    client = Client(context, json.loads(file.read_bytes()), reconnect_ms=RECONNECT_MS)
    try:
        client.greet()
        greeted = time.perf_counter()
        client.hear_print(client.send_cell(CODE))
        return Start(begun - asked, greeted - asked, time.perf_counter() - asked)
    finally:
        client.close()
