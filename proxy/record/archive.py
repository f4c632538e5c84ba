"""The archive: what is long over, in pages that are blobs.

A document that is made anew costs a millisecond for each cell in it, and what a session did last
week does not change any more. So the document has the latest cells and the open comms, and names
the pages; a page is JSON, a list of cells and a list of comms in the shape that they had in the
document. What is let go of by policy is let go of page by page, oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from proxy.record import trees
from proxy.record.document import Tree
from proxy.record.state import Comm, Execution, SessionRecord
from proxy.record.values import Large

LIVE_EXECUTIONS = 200
"""Complete cells that stay in the document: what is displayed there can still be updated."""
LIVE_CLOSED_COMMS = 200
MIN_PAGE = 100
"""Things that make a page worth its file."""


class RetentionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a session is kept. None: no bound."""

    executions: int | None = 100_000
    bytes: int | None = 10 * 1024**3
    """Of all that the record has in its blob store."""
    seconds: float | None = None


@dataclass(slots=True, frozen=True)
class Page:
    """One page of the archive."""

    large: Large
    executions: int
    outputs: int
    bytes: int
    """Its own size, and that of the blobs that it names."""
    until: float
    """When the latest of it was over, seconds since 1970."""


def page_tree(page: Page) -> dict[str, Tree]:
    """Return what the document says of a page."""
    return {
        **trees.blob_tree(page.large),
        "executions": page.executions,
        "outputs": page.outputs,
        "bytes": page.bytes,
        "until": trees.time_text(page.until),
    }


def next_page(record: SessionRecord, at: float) -> Page | None:
    """Take what is long over out of a record and return it as a page to be stored; None: too
    little is.

    All values of it must be in the blob store.
    """
    complete = [n for n, e in record.executions.items() if e.state == "complete"]
    closed = [c for c in record.comms.values() if c.closed is not None]
    old = complete[: max(0, len(complete) - LIVE_EXECUTIONS)]
    gone = closed[: max(0, len(closed) - LIVE_CLOSED_COMMS)]
    if len(old) + len(gone) < MIN_PAGE:
        return None
    executions = [record.executions.pop(number) for number in old]
    for comm in gone:
        del record.comms[comm.comm_id]
    return _page(executions, gone, at)


def _page(executions: list[Execution], comms: list[Comm], at: float) -> Page:
    cells: list[Tree] = [dict(trees.execution_tree(e)) for e in executions]
    ended: list[Tree] = [{"comm_id": c.comm_id, **trees.comm_tree(c)} for c in comms]
    raw = msgspec.json.encode({"schema": trees.SCHEMA, "executions": cells, "comms": ended})
    sizes = sum(size for _, size in blobs_in([*cells, *ended]))
    return Page(
        large=Large("application/json", "json", len(raw), raw),
        executions=len(executions),
        outputs=sum(len(e.outputs.items) for e in executions),
        bytes=len(raw) + sizes,
        until=max([at, *(e.completed or 0.0 for e in executions)]),
    )


def blobs_in(tree: Tree) -> set[tuple[str, int]]:
    """Return the names and sizes of all blobs that a tree refers to."""
    found: set[tuple[str, int]] = set()
    if isinstance(tree, list):
        for each in tree:
            found |= blobs_in(each)
    elif isinstance(tree, dict):
        if isinstance(name := tree.get("blob"), str) and isinstance(size := tree.get("size"), int):
            found.add((name, size))
        for each in tree.values():
            found |= blobs_in(each)
    return found


def overdue(pages: list[Page], policy: RetentionPolicy, at: float) -> int:
    """Return how many pages, from the oldest, are to be let go of."""
    count = 0
    executions = sum(page.executions for page in pages)
    size = sum(page.bytes for page in pages)
    for page in pages:
        too_many = policy.executions is not None and executions > policy.executions
        too_large = policy.bytes is not None and size > policy.bytes
        too_old = policy.seconds is not None and at - page.until > policy.seconds
        if not (too_many or too_large or too_old):
            break
        count += 1
        executions -= page.executions
        size -= page.bytes
    return count
