"""structlog, set up once: a list of processors, and the closed list of event names."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO

import structlog

EVENTS = frozenset(
    {
        "client.attached",
        "client.cut_off",
        "client.detached",
        "client.left",
        "client.subscribed",
        "comm.close_withheld",
        "frames.rejected",
        "internal.error",
        "kernel.died",
        "kernel.ended",
        "kernel.found",
        "kernel.interrupted",
        "kernel.launched",
        "kernel.output",
        "kernel.port_taken",
        "kernel.ready",
        "kernel.restart_requested",
        "kernel.unresponsive",
        "ledger.primed",
        "ledger.restored",
        "message.refused",
        "message.undeliverable",
        "message.unroutable",
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
        "session.resumed",
        "session.started",
        "stdin.answer_ignored",
        "stdin.asker_gone",
        "web.rejected",
    }
)
"""Every event that kmux logs: ``noun.verb``. A test compares it with the source."""


def configure(level: str | None = None, stream: TextIO | None = None) -> None:
    """Log to ``stream`` (stderr): for a person on a terminal, as JSON lines otherwise.

    ``level`` is ``KMUX_LOG_LEVEL`` (which the command line's option sets), or "warning".
    """
    level = level or os.environ.get("KMUX_LOG_LEVEL", "warning")
    out = stream or sys.stderr
    readable = out.isatty()
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer()
        if readable
        else structlog.processors.JSONRenderer(default=_plain),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )


def _plain(value: object) -> str:
    """Show what JSON does not know: routing identities are bytes."""
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return str(value)


def log() -> Any:
    """Return the logger."""
    return structlog.get_logger()
