"""The log: JSON lines for machines, readable ones on a terminal. test_layering has the names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from proxy.logs import configure, log


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_json_object_a_line_with_event_level_and_time() -> None:
    out = io.StringIO()
    configure("info", out)
    log().info("client.attached", client=(b"zmq", b"\x00\xff"), clients=2)
    log().warning("kernel.died", reason="it was\nkilled")
    first, second = lines(out)
    assert first["event"] == "client.attached"
    assert first["level"] == "info"
    assert first["timestamp"].endswith("Z")
    assert first["client"] == ["zmq", "\x00\\xff"], "identities are bytes"
    assert first["clients"] == 2
    assert second["reason"] == "it was\nkilled"


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    configure("warning", out)
    log().info("kernel.ready")
    log().error("kernel.died")
    assert [entry["event"] for entry in lines(out)] == ["kernel.died"]


def test_the_log_has_the_traceback() -> None:
    out = io.StringIO()
    configure("info", out)
    try:
        raise ValueError("no")
    except ValueError:
        log().exception("internal.error")
    assert "Traceback" in lines(out)[0]["exception"]


def test_values_that_json_does_not_know_are_shown_all_the_same() -> None:
    out = io.StringIO()
    configure("info", out)
    log().info("kernel.ready", odd={1, 2}, path=ValueError("x"))
    assert lines(out)[0]["path"] == "x"


def test_a_terminal_gets_text() -> None:
    out = Terminal()
    configure("info", out)
    log().info("kernel.ready", pid=7)
    assert "kernel.ready" in out.getvalue()
    assert not out.getvalue().startswith("{")
