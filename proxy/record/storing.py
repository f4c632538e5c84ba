"""Large values on their way into the blob store, and those that the disk does not take.

What it does not take is kept in memory, up to a bound, and goes when it is tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from proxy.errors import StoreError
from proxy.message import Part
from proxy.record.blobs import BlobStore
from proxy.record.values import Large

MAX_HOMELESS_BYTES = 256 * 1024 * 1024
"""Of values that the disk does not take."""


class Storing:
    """The values of one record. ``refused`` is told what the disk says against one."""

    def __init__(self, blobs: BlobStore, refused: Callable[[StoreError], None]) -> None:
        self.homeless: dict[str, Large] = {}
        """Values that the disk did not take, by name."""
        self._blobs = blobs
        self._refused = refused

    def store(self, values: Iterable[Large]) -> None:
        """Give values their names, and put them into the blob store. Called in a worker thread."""
        for value in values:
            value.unpack()
            assert value.part is not None
            try:
                value.sha256 = self._blobs.put(value.part, value.media_type)
            except StoreError as error:
                value.sha256 = hashlib.sha256(value.part).hexdigest()
                self._refused(error)
                self._keep(value)
            else:
                value.part = None
                self.homeless.pop(value.sha256, None)

    def _keep(self, value: Large) -> None:
        """Keep what the disk did not take, once, up to a bound: past it, it is lost."""
        if self.homeless.setdefault(value.sha256, value) is not value:
            value.part = None
            return
        size = sum(each.size for each in self.homeless.values())
        while size > MAX_HOMELESS_BYTES:
            lost = self.homeless.pop(next(iter(self.homeless)))
            size -= lost.size
            lost.part = None

    def fetch(self, large: Large) -> bytes:
        """Return a value's bytes. Raises :class:`StoreError` where they are lost."""
        part = self._in_memory(large)
        return self._blobs.get(large.sha256) if part is None else bytes(part)

    def tail(self, large: Large, count: int) -> bytes:
        """Return a value's last bytes, as they are. Raises :class:`StoreError`, as before."""
        part = self._in_memory(large)
        return self._blobs.tail(large.sha256, count) if part is None else bytes(part[-count:])

    def _in_memory(self, large: Large) -> Part | None:
        """Return a value that is there still. The thread that stores values lets go of them."""
        for kept in (large, self.homeless.get(large.sha256)):
            part = kept.part if kept is not None else None
            if part is not None:
                return part
        return None
