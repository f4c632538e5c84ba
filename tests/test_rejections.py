"""Dropped frames are all counted, and a flood of them does not fill the log."""

from __future__ import annotations

from typing import Any

import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from proxy.errors import ClientProtocolError, KernelProtocolError
from proxy.message import Channel
from proxy.rejections import REPORT_SECONDS, Rejections

SHELL = Channel.SHELL


def entries(logs: list[Any]) -> list[tuple[str, str, str, int]]:
    assert all(e["event"] == "frames.rejected" and e["log_level"] == "warning" for e in logs)
    return [(e["blame"], e["channel"], e["reason"], e["count"]) for e in logs]


async def test_they_are_logged_by_who_where_and_why(autojump_clock: MockClock) -> None:
    rejections = Rejections()
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rejections.report)
            rejections.count(SHELL, ClientProtocolError("wrong signature"))
            rejections.count(SHELL, ClientProtocolError("wrong signature"))
            rejections.count(Channel.IOPUB, KernelProtocolError("header: JSON is malformed (1)"))
            rejections.count(Channel.IOPUB, KernelProtocolError("header: JSON is malformed (2)"))
            await trio.sleep(2 * REPORT_SECONDS)
            nursery.cancel_scope.cancel()
    assert entries(logs) == [
        ("client", "shell", "wrong signature", 2),
        ("kernel", "iopub", "header", 2),
    ]
    assert rejections.total == 4


async def test_the_first_is_logged_at_once_and_a_flood_once_in_a_while(
    autojump_clock: MockClock,
) -> None:
    rejections = Rejections()
    error = ClientProtocolError("wrong signature")
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rejections.report)
            await trio.testing.wait_all_tasks_blocked()
            rejections.count(SHELL, error)
            await trio.testing.wait_all_tasks_blocked()
            assert len(logs) == 1
            for _ in range(100):
                for _ in range(100):
                    rejections.count(SHELL, error)
                await trio.sleep(REPORT_SECONDS / 20)
            nursery.cancel_scope.cancel()
    assert sum(count for *_, count in entries(logs)) == rejections.total == 10_001
    assert len(logs) <= 8


async def test_the_last_ones_are_logged_when_it_ends(autojump_clock: MockClock) -> None:
    rejections = Rejections()
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rejections.report)
            rejections.count(SHELL, ClientProtocolError("one"))
            await trio.testing.wait_all_tasks_blocked()
            rejections.count(SHELL, ClientProtocolError("two"))
            nursery.cancel_scope.cancel()
    assert [reason for _, _, reason, _ in entries(logs)] == ["one", "two"]


async def test_without_any_nothing_is_logged(autojump_clock: MockClock) -> None:
    with capture_logs() as logs:
        with trio.move_on_after(100):
            await Rejections().report()
    assert logs == []
