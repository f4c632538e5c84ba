"""The log: JSON lines for machines, readable ones on a terminal. test_layering has the names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from proxy.log_file import LogFile
from proxy.logs import configure, configure_file, log, speak_for


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


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


def test_a_file_has_what_a_pipe_has(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "daemon.log", max_bytes=1000, files=2)
    configure_file(file, "info")
    log().debug("kernel.found")
    log().info("kernel.ready", pid=7)
    file.close()
    (line,) = (tmp_path / "daemon.log").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "kernel.ready", "level": "info", "pid": 7}


def test_lines_that_were_lost_are_told_of(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.write_text("in the way")
    file = LogFile(directory / "daemon.log", max_bytes=1000, files=2)
    configure_file(file, "info")
    log().info("kernel.launched")
    log().info("kernel.ready")
    directory.unlink()
    log().info("kernel.died")
    log().info("kernel.ended")
    file.close()
    entries = [json.loads(line) for line in (directory / "daemon.log").read_text().splitlines()]
    assert [entry["event"] for entry in entries] == ["kernel.died", "kernel.ended"]
    assert [entry.get("lines_lost") for entry in entries] == [2, None]


async def test_of_many_sessions_each_line_says_whose_it_is() -> None:
    """A socket's callbacks run in the task of all sockets, for whichever session it is."""
    out = io.StringIO()
    configure("info", out)
    callbacks = []

    async def started(name: str) -> None:
        log().info("kernel.launched", expected=name)
        await trio.to_thread.run_sync(lambda: log().info("record.damaged", expected=name))

    async def session(name: str) -> None:
        speak_for(name)
        own = log()
        callbacks.append(lambda: own.info("client.attached", expected=name))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(started, name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(session, "a")
        nursery.start_soon(session, "b")
    for callback in callbacks:
        callback()
    log().info("session.ended", expected=None)
    entries = lines(out)
    assert len(entries) == 7
    assert all(entry.get("session") == entry["expected"] for entry in entries)
