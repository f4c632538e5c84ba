"""Records as commands have them, made of facts."""

from __future__ import annotations

from pathlib import Path

from proxy.errors import StoreError
from proxy.record.blobs import Blobs
from proxy.record.folding import Folding
from proxy.record.loading import WholeRecord
from proxy.record.values import Large
from proxy.session import facts
from tests.record.facts import Store, new_folding


class Kept(Blobs):
    """Blobs in memory, some of which may be lost."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.store = Store()

    def get(self, sha256: str) -> bytes:
        try:
            return self.store.get(sha256)
        except KeyError:
            raise StoreError("it is lost") from None


class Recorded:
    """A record that facts come to, and that is read at any time."""

    def __init__(self, *happened: facts.Fact) -> None:
        self.folding: Folding = new_folding()
        self.blobs = Kept()
        self.take(*happened)

    def take(self, *happened: facts.Fact) -> None:
        for fact in happened:
            self.folding.take(fact)
        self._store(self.folding.settle())

    def _store(self, values: list[Large]) -> None:
        self.blobs.store.put(values)

    @property
    def whole(self) -> WholeRecord:
        return WholeRecord(self.folding.record, self.blobs, epoch=1, pages=[])
