"""What is long over, and what is let go of."""

from __future__ import annotations

from proxy.record.archive import Page, RetentionPolicy, blobs_in, overdue
from proxy.record.values import Large


def pages(*sizes: int) -> list[Page]:
    large = Large("application/json", "json", 1, sha256="0" * 64)
    return [
        Page(large=large, executions=10, outputs=20, bytes=size, until=float(at))
        for at, size in enumerate(sizes)
    ]


def test_the_oldest_pages_go_first_and_only_as_many_as_must() -> None:
    kept = pages(100, 100, 100, 100)
    nothing = RetentionPolicy(executions=None, bytes=None)
    assert overdue(kept, nothing, at=1e9) == 0
    assert overdue(kept, RetentionPolicy(executions=40, bytes=None), at=0) == 0
    assert overdue(kept, RetentionPolicy(executions=39, bytes=None), at=0) == 1
    assert overdue(kept, RetentionPolicy(executions=None, bytes=250), at=0) == 2
    assert overdue(kept, RetentionPolicy(executions=None, bytes=None, seconds=2.5), at=4) == 2
    assert overdue(kept, RetentionPolicy(executions=0, bytes=0, seconds=0), at=9) == 4
    assert overdue([], RetentionPolicy(executions=0), at=0) == 0


def test_blobs_are_found_wherever_they_are() -> None:
    blob = {"blob": "a", "size": 1, "media_type": "", "encoding": "json"}
    tree = {"one": blob, "two": [{"deep": {**blob, "blob": "b", "size": 2}}, "text", None]}
    assert blobs_in(tree) == {("a", 1), ("b", 2)}
    assert blobs_in("text") == set()
