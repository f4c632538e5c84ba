"""Real documents on which changes are made as a recorder makes them."""

from __future__ import annotations

import random
from itertools import accumulate

from proxy.record.document import ROOT, Document, Tree


class Growing:
    """A document and its changes, one after the other."""

    def __init__(self, epoch: int = 1) -> None:
        self.document = Document()
        with self.document.write() as writer:
            writer.put(ROOT, "epoch", epoch)
            writer.put(ROOT, "count", 0)
            self._lines = writer.put_list(ROOT, "lines")
        self.snapshot = self.document.save()
        self.changes: list[bytes] = []
        self.states = [self.document.read()]
        """What was in it: ahead of the changes, and after each one."""

    def grow(self, text: str = "") -> bytes:
        """Change something and return the change, which is compressed if the text is long."""
        before = self.document.heads
        count = len(self.changes)
        with self.document.write() as writer:
            writer.put(ROOT, "count", count + 1)
            writer.insert(self._lines, count, text)
        self.changes.append(self.document.changes_since(before))
        self.states.append(self.document.read())
        return self.changes[-1]

    @property
    def log(self) -> bytes:
        return b"".join(self.changes)

    @property
    def ends(self) -> list[int]:
        """Where in the log the changes end; the first is none."""
        return [0, *accumulate(map(len, self.changes))]

    def end_of_the_change_at(self, start: int) -> int:
        return self.ends[self.ends.index(start) + 1]

    def state_at(self, length: int) -> dict[str, Tree]:
        """What was in it when the log was that long."""
        return self.states[sum(end <= length for end in self.ends) - 1]


def grown(changes: int = 9) -> Growing:
    """A document with short changes and compressed ones: the first of three is long."""
    document = Growing()
    for number in range(changes):
        document.grow(f"line {number} " * (1, 2, 40)[(number + 2) % 3])
    return document


def noise(length: int, seed: int = 1) -> str:
    """A text that cannot be compressed to much less."""
    return random.Random(seed).randbytes(length // 2).hex()


def root_of(epoch: int) -> bytes:
    """A root that names an epoch."""
    document = Document()
    with document.write() as writer:
        writer.put(ROOT, "epoch", epoch)
    return document.save()
