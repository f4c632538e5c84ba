"""State has no rules of its own; what a new session's record is like."""

from __future__ import annotations

from proxy.record.state import SessionRecord


def test_two_records_share_nothing() -> None:
    one, other = SessionRecord("one", "python3"), SessionRecord("other", "python3")
    one.clients[()] = 1.0  # type: ignore[index]
    one.missed.append((1.0, 2.0))
    assert (other.clients, other.missed, other.kernel.number) == ({}, [], 0)
