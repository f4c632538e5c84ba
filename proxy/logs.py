"""structlog, set up once: a list of processors, and the closed list of event names.

Where several sessions live in one process, each line says of which one it speaks: the task that a
session lives in says :func:`speak_for` before it starts or makes anything.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any, TextIO

import structlog

from proxy.log_file import LogFile

EVENTS = frozenset(
    {
        "cell.ended",
        "client.attached",
        "client.cut_off",
        "client.detached",
        "client.left",
        "client.no_buffers",
        "client.subscribed",
        "comm.close_withheld",
        "daemon.ended",
        "daemon.ending",
        "daemon.started",
        "environment.detected",
        "environment.preparing",
        "environment.swept",
        "frames.rejected",
        "internal.error",
        "kernel.connected",
        "kernel.died",
        "kernel.ended",
        "kernel.found",
        "kernel.interrupted",
        "kernel.launched",
        "kernel.output",
        "kernel.port_taken",
        "kernel.prewarmed",
        "kernel.ready",
        "kernel.restart_requested",
        "kernel.start_code_failed",
        "kernel.started_fresh",
        "kernel.unresponsive",
        "ledger.primed",
        "ledger.restored",
        "message.refused",
        "message.undeliverable",
        "message.unroutable",
        "pool.dropped",
        "pool.made",
        "pool.not_given_back",
        "pool.waits",
        "queue.dropped",
        "record.damaged",
        "record.document_broken",
        "record.epoch_began",
        "record.not_durable",
        "record.not_merged",
        "record.not_resumed",
        "record.refused",
        "record.unreadable",
        "session.ended",
        "session.failed",
        "session.not_carried",
        "session.not_listed",
        "session.overdue",
        "session.port_lost",
        "session.resumed",
        "session.started",
        "session.unreadable",
        "stdin.answer_ignored",
        "stdin.asker_gone",
        "web.not_served",
        "web.port_lost",
        "web.rejected",
        "web.served",
    }
)
"""Every event that kmux logs: ``noun.verb``. A test compares it with the source."""


def configure(level: str | None = None, stream: TextIO | None = None) -> None:
    """Log to ``stream`` (stderr): for a person on a terminal, as JSON lines otherwise.

    ``level`` is ``KMUX_LOG_LEVEL`` (which the command line's option sets), or "warning".
    """
    level = level or os.environ.get("KMUX_LOG_LEVEL") or "warning"
    out = stream or sys.stderr
    renderer = structlog.dev.ConsoleRenderer() if out.isatty() else _as_json
    _set_up(level, structlog.WriteLoggerFactory(out), [renderer])


def configure_file(file: LogFile, level: str) -> None:
    """Log to a file, as JSON lines. The first line after some were lost says how many."""

    def count_lost(logger: Any, method: str, event: structlog.typing.EventDict) -> Any:
        if file.lost:
            event["lines_lost"] = file.lost
        return event

    factory = structlog.WriteLoggerFactory(file)  # type: ignore[arg-type]  # it writes and flushes
    _set_up(level, factory, [count_lost, _as_json])


def _set_up(level: str, factory: structlog.WriteLoggerFactory, last: list[Any]) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _plain(value: object) -> str:
    """Show what JSON does not know: routing identities are bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return str(value)


_encode = json.JSONEncoder(default=_plain).encode
"""Made once: structlog's own renderer makes one for each line, a third of what that costs."""


def _as_json(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    return _encode(event)


def speak_for(session: str) -> None:
    """Have this task, and all that it starts or makes, say in each line which session it is of.

    What it starts later from another task's callbacks (a socket's) has that one's context: who
    logs there got its logger by :func:`log` when it was made.
    """
    structlog.contextvars.bind_contextvars(session=session)


def log() -> Any:
    """Return a logger that says what the asking task was told to say, whoever uses it."""
    return structlog.get_logger(**structlog.contextvars.get_contextvars())
