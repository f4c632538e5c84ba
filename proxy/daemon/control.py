"""What can be asked of a session and done to it from outside, whichever process has it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import Protocol

from proxy.daemon.vocabulary import (
    Cancelled,
    ClientEntry,
    Flushed,
    QueueEntry,
    SessionInfo,
    timestamp,
)
from proxy.hosting import HostedSession
from proxy.message import JSON_ERRORS, ClientId, MsgId, comes_back
from proxy.runner import Runner, client_name
from proxy.session.events import CancelRequested
from proxy.session.shell_queue import Execution, State

CODE_CHARACTERS = 80


class ControlledSession(Protocol):
    """A session that answers."""

    @property
    def hosted(self) -> HostedSession:
        """Its parts."""

    def describe(self) -> SessionInfo:
        """Say what ``kmux ps`` shows."""

    def kind_of(self, client: ClientId) -> str:
        """Return the kind of endpoint that a client is at."""

    def interrupt(self) -> None:
        """Interrupt the kernel."""

    def restart(self) -> None:
        """Restart the kernel. Raises :class:`ConfigError` where it is not ours to restart, or
        not now."""


def visible(runner: Runner) -> list[ClientId]:
    """The clients that a person would count: not the passing sockets of servers that probe."""
    return [client for client in runner.clients if comes_back(client)]


def queue(session: ControlledSession, limit: int | None = None) -> list[QueueEntry]:
    """Return the cells that run and wait, in the order of their turns; the first ones."""
    return [_entry(execution) for execution in islice(session.hosted.runner.executions, limit)]


def cancel(session: ControlledSession, msg_id: str) -> Cancelled:
    """Take a cell that waits out of the queue; two clients may use one msg_id."""
    runner = session.hosted.runner
    found = [
        execution.event.client
        for execution in runner.executions
        if execution.msg_id == msg_id and execution.state is State.QUEUED
    ]
    for client in found:
        runner.dispatch(CancelRequested(at=time.time(), client=client, msg_id=MsgId(msg_id)))
    return Cancelled(len(found))


async def flush(session: ControlledSession) -> Flushed:
    """Write down all that the session knows."""
    recorder = session.hosted.recorder
    if recorder is None:
        return Flushed(False)
    await recorder.flush()
    return Flushed(recorder.record.not_durable_since is None)


def clients(session: ControlledSession) -> list[ClientEntry]:
    """Return who is attached, longest first."""
    runner = session.hosted.runner
    waiting = Counter(e.event.client for e in runner.executions if e.state is State.QUEUED)
    entries = [
        ClientEntry(
            name=runner.clients[client].name,
            kind=session.kind_of(client),
            since=timestamp(runner.clients[client].since),
            waiting=waiting[client],
        )
        for client in visible(runner)
    ]
    return sorted(entries, key=lambda entry: entry.since)


def _entry(execution: Execution) -> QueueEntry:
    event = execution.event
    header = event.message.header
    return QueueEntry(
        state=str(execution.state),
        client=client_name(event.client),
        msg_id=header.msg_id,
        subshell_id=header.subshell_id,
        code=_first_line(execution),
        since=_since(execution),
    )


def _since(execution: Execution) -> str | None:
    is_running = execution.state is State.EXECUTING and execution.started is not None
    return timestamp(execution.started or 0.0) if is_running else None


def _first_line(execution: Execution) -> str:
    try:
        code = execution.event.message.content().get("code")
    except JSON_ERRORS:
        return ""
    lines = code.strip().splitlines() if isinstance(code, str) else []
    more = len(lines) > 1 or any(len(line) > CODE_CHARACTERS for line in lines)
    return lines[0][:CODE_CHARACTERS] + (" …" if more else "") if lines else ""
