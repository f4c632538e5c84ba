"""The archive: what is long over, in pages that are blobs.

A document that is made anew costs a millisecond for each cell in it, and what a session did last
week does not change any more. So the document has the latest cells and the open comms, and names
the pages; a page is JSON, a list of cells and a list of comms in the shape that they had in the
document. What is let go of by policy is let go of page by page, oldest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from proxy.record import trees
from proxy.record.blobs import BlobLost
from proxy.record.document import Tree
from proxy.record.state import Comm, Execution, LetGo, SessionRecord
from proxy.record.values import Large

LIVE_EXECUTIONS = 200
"""Complete cells that stay in the document: what is displayed there can still be updated."""
LIVE_CLOSED_COMMS = 200
MIN_PAGE = 100
"""Things that make a page worth its file."""
AT_ONCE = 50
"""Things that are written down at once: some 2 ms, in which nothing else happens."""


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


class Draft:
    """A page of what is long over, made some at a time: nothing waits while :meth:`add_some` runs.

    All values must be in the blob store. What is on it stays in the record until the page is
    stored, and :meth:`take_out` is called.
    """

    def __init__(self, executions: dict[int, Execution], comms: list[Comm]) -> None:
        self._executions = executions
        self._comms = comms
        self._left: deque[Execution | Comm] = deque([*executions.values(), *comms])
        self._cells: list[bytes] = []
        self._closed: list[bytes] = []
        self.blobs: dict[str, int] = {}
        """The blobs that it names, and their sizes."""

    def add_some(self) -> bool:
        """Write down a few more. Returns whether there are others."""
        for _ in range(min(AT_ONCE, len(self._left))):
            thing = self._left.popleft()
            tree: dict[str, Tree]
            if isinstance(thing, Execution):
                tree = trees.execution_tree(thing)
                self._cells.append(msgspec.json.encode(tree))
            else:
                tree = {"comm_id": thing.comm_id, **trees.comm_tree(thing)}
                self._closed.append(msgspec.json.encode(tree))
            self.blobs.update(blobs_in(tree))
        return bool(self._left)

    def page(self, at: float) -> Page:
        """Return the page, to be stored."""
        raw = b'{"schema":%s,"executions":[%s],"comms":[%s]}' % (
            msgspec.json.encode(trees.SCHEMA),
            b",".join(self._cells),
            b",".join(self._closed),
        )
        cells = self._executions.values()
        return Page(
            large=Large("application/json", "json", len(raw), raw),
            executions=len(cells),
            outputs=sum(len(e.outputs.items) for e in cells),
            bytes=len(raw) + sum(self.blobs.values()),
            until=max([at, *(e.completed or 0.0 for e in cells)]),
        )

    def take_out(self, record: SessionRecord) -> None:
        """It is stored: the record needs not have it any more."""
        for number in self._executions:
            del record.executions[number]
        for comm in self._comms:
            del record.comms[comm.comm_id]


def draft(record: SessionRecord) -> Draft | None:
    """Find what is long over; None: too little is."""
    complete = [n for n, e in record.executions.items() if e.state == "complete"]
    closed = [c for c in record.comms.values() if c.closed is not None]
    old = complete[: max(0, len(complete) - LIVE_EXECUTIONS)]
    gone = closed[: max(0, len(closed) - LIVE_CLOSED_COMMS)]
    if len(old) + len(gone) < MIN_PAGE:
        return None
    return Draft({number: record.executions[number] for number in old}, gone)


class Archive:
    """The pages of a record, the oldest first."""

    def __init__(self, pages: Sequence[Page], policy: RetentionPolicy) -> None:
        self.pages = list(pages)
        self._policy = policy
        self._named: dict[str, frozenset[str]] = {}
        """The blobs that a page names, as far as that is known."""
        self._lost: set[str] = set()
        """Pages that are not in the blob store any more, or damaged there."""

    def add(self, page: Page, blobs: Iterable[str]) -> None:
        """A page is stored, which names these blobs."""
        self.pages.append(page)
        self._named[page.large.sha256] = frozenset(blobs)

    def let_go(self, at: float) -> LetGo:
        """Let go of what is past its bound, and of what is lost. Returns how much that was."""
        lost = [page for page in self.pages if page.large.sha256 in self._lost]
        kept = [page for page in self.pages if page.large.sha256 not in self._lost]
        count = overdue(kept, self._policy, at)
        self.pages = kept[count:]
        gone = LetGo()
        for page in (*lost, *kept[:count]):
            gone.executions += page.executions
            gone.outputs += page.outputs
            gone.bytes += page.bytes
            self._named.pop(page.large.sha256, None)
        self._lost.clear()
        return gone

    def named(self, get: Callable[[str], bytes]) -> set[str]:
        """Return the pages' own names and those of the blobs that they name. Each is read once.

        Called in a worker thread. Raises :class:`StoreError` where the disk cannot be read.
        """
        names: set[str] = set()
        for page in self.pages:
            name = page.large.sha256
            if name not in self._named:
                try:
                    tree = msgspec.json.decode(get(name))
                except BlobLost:
                    self._lost.add(name)
                    continue
                self._named[name] = frozenset(blob for blob, _ in blobs_in(tree))
            names |= {name, *self._named[name]}
        return names


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
