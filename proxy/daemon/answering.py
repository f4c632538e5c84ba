"""What a session answers to those who ask on its socket."""

from __future__ import annotations

import time
from pathlib import Path

from proxy.daemon.registration import Answer
from proxy.daemon.registry import Cancelled, Flushed, Question, QueueEntry, SessionInfo
from proxy.hosting import HostedSession
from proxy.message import JSON_ERRORS, ClientId, comes_back
from proxy.runner import Runner, client_name
from proxy.session.events import CancelRequested
from proxy.session.shell_queue import Execution, State

CODE_CHARACTERS = 80


class Answering:
    """Speaks for one session."""

    def __init__(self, hosted: HostedSession, *, language: str, file: Path) -> None:
        self._hosted = hosted
        self._runner = hosted.runner
        self._language = language
        self._file = file

    async def answer(self, question: Question) -> Answer:
        """Answer one question."""
        if question.about == "queue":
            return [_entry(execution) for execution in self._runner.executions]
        if question.about == "cancel":
            return Cancelled(self._cancel(question.msg_id))
        if question.about == "flush":
            return Flushed(await self._flush())
        return self.describe()

    def describe(self) -> SessionInfo:
        """Say what ``kmux ps`` shows."""
        recorder, server = self._hosted.recorder, self._hosted.record_server
        return SessionInfo(
            name=self._hosted.name,
            kernel=self._hosted.kernel_name,
            language=self._language,
            status=self._runner.session.execution_state,
            clients=len(visible(self._runner)),
            pid=self._runner.kernel.pid,
            connection_file=str(self._file),
            document=recorder.url if recorder is not None else None,
            record_url=server.sync_url if server is not None else None,
        )

    async def _flush(self) -> bool:
        recorder = self._hosted.recorder
        if recorder is None:
            return False
        await recorder.flush()
        return recorder.record.not_durable_since is None

    def _cancel(self, msg_id: str) -> int:
        """Take a cell that waits out of the queue; two clients may use one msg_id."""
        found = [
            execution.event.client
            for execution in self._runner.executions
            if execution.msg_id == msg_id and execution.state is State.QUEUED
        ]
        for client in found:
            event = CancelRequested(at=time.time(), client=client, msg_id=msg_id)  # type: ignore[arg-type]
            self._runner.dispatch(event)
        return len(found)


def visible(runner: Runner) -> list[ClientId]:
    """The clients that a person would count: not the passing sockets of servers that probe."""
    return [client for client in runner.clients if comes_back(client)]


def _entry(execution: Execution) -> QueueEntry:
    event = execution.event
    header = event.message.header
    return QueueEntry(
        state=str(execution.state),
        client=client_name(event.client),
        msg_id=header.msg_id,
        subshell_id=header.subshell_id,
        code=_first_line(execution),
    )


def _first_line(execution: Execution) -> str:
    try:
        code = execution.event.message.content().get("code")
    except JSON_ERRORS:
        return ""
    lines = code.strip().splitlines() if isinstance(code, str) else []
    more = len(lines) > 1 or any(len(line) > CODE_CHARACTERS for line in lines)
    return lines[0][:CODE_CHARACTERS] + (" …" if more else "") if lines else ""
