"""Large values, each in a file that is named after what is in it.

Theory. A blob is called by its SHA-256, so the same bytes are stored once, a blob never changes,
and one that was damaged on the disk is found out when it is read. It is stored before the document
that names it is written, and removed when no document names it; in between it is safe for a while
(:data:`GRACE_SECONDS`).

On the disk: ``ab/ab12….image%2Fpng``, by the first two digits of its name, with its media type. The
same bytes as something else are another name (a link) of the same file.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from proxy.errors import StoreError
from proxy.message import Part
from proxy.record import disk
from proxy.record.values import BINARY

GRACE_SECONDS = 600.0
"""What was put within it is not removed: the document that names it may not be written yet. A
recorder that lags behind does so by seconds."""
LIMIT_BYTES = 4 * 1024**3
"""What a session may have in blobs (a setting); past it, the recorder lets outputs go."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHARD = re.compile(r"[0-9a-f]{2}")
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # noqa: S105 - a token of RFC 6838, "Naming Requirements"
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}( ?; ?{_TOKEN}=({_TOKEN}|"[A-Za-z0-9 _.:/+-]*"))*')
_MAX_MEDIA_TYPE_BYTES = 150
"""A file's name has 255, with 65 ahead of it and what is put behind it when it is set aside."""


class BlobLost(StoreError):
    """It is not there, or not what was stored: nothing will bring it back."""


@dataclass(frozen=True, slots=True)
class Freed:
    """What was removed."""

    blobs: int
    bytes: int


class Blobs:
    """The blobs in a directory, to be read: in any thread, and in any process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, sha256: str) -> bytes:
        """Return a blob's bytes.

        Raises :class:`BlobLost` where there is none, and where it is damaged: then it is set
        aside, and will be stored anew when it is put the next time. Raises :class:`StoreError`
        where it cannot be read.
        """
        kept: Path | None = None
        for path in self._files(sha256):
            with disk.storing(f"read the blob {path}"):
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() == sha256:
                    return data
                kept = disk.set_aside(path, "a blob that is not what was stored", to=self.directory)
        raise BlobLost(f"the blob {sha256} is damaged; what is left of it is {kept}")

    def tail(self, sha256: str, count: int) -> bytes:
        """Return the last bytes of a blob. Whether it is damaged is not looked at.

        Raises :class:`StoreError` where there is none.
        """
        path = self.path(sha256)
        with disk.storing(f"read the blob {path}"), path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - count))
            return stream.read(count)

    def path(self, sha256: str) -> Path:
        """Return its file. Raises :class:`StoreError` where there is none."""
        return self._files(sha256)[0]

    def size(self, sha256: str) -> int:
        """Return its size in bytes. Raises :class:`StoreError` where there is none."""
        path = self.path(sha256)
        with disk.storing(f"read the blob {path}"):
            return path.stat().st_size

    def media_type(self, sha256: str) -> str:
        """Return what it was put as. Raises :class:`StoreError` where there is none."""
        return self.media_types(sha256)[0]

    def media_types(self, sha256: str) -> list[str]:
        """Return all that it was put as; "some bytes" comes last.

        Who reads the document knows which one is meant. Raises :class:`StoreError` where there is
        none.
        """
        return [_media_type_of(path.name) for path in self._files(sha256)]

    def _files(self, sha256: str) -> list[Path]:
        """Return the names of a blob, of which there is at least one."""
        found: list[Path] = []
        if _SHA256.fullmatch(sha256):  # it may come from a URL
            with disk.storing(f"read the blobs in {self.directory}"):
                found = _names_of(sha256, self.directory / sha256[:2])
        if not found:
            raise BlobLost(f"there is no blob {sha256[:64]!r}; the record may have let it go")
        return sorted(found, key=lambda path: (_media_type_of(path.name) == BINARY, path.name))


class BlobStore(Blobs):
    """The blobs in a directory, to be written: in one process, and one call at a time.

    It is called in a worker thread. Hashing and writing are done without the GIL, however large
    a value is, so that they keep nobody from anything but the processor.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int = LIMIT_BYTES,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Take over a directory, or make it, and remove what a crash left behind.

        Raises :class:`StoreError` where it cannot be used.
        """
        super().__init__(directory)
        self.limit_bytes = limit_bytes
        self.total_bytes = self.count = 0
        """How much there is. What was set aside since :meth:`collect` still counts."""
        self._grace_seconds = grace_seconds
        self._recent: dict[str, float] = {}
        """When a blob was put, the latest at the end, while that is not long ago."""
        with disk.storing(f"use the blobs in {directory}"):
            disk.make_directory(directory)  # its name is synced with the record's first document
            shards = list(_shards(directory))
            for shard in shards:
                disk.remove_leftovers(shard)
            self._collect(None)
        self._unsynced = set(shards)
        """Directories with names that may not be on the disk yet; at first, a killed process's."""

    @property
    def excess_bytes(self) -> int:
        """How much is past the limit."""
        return max(0, self.total_bytes - self.limit_bytes)

    def put(self, data: Part | Sequence[Part], media_type: str) -> str:
        """Store a value, of one part or of several that are joined, and return its SHA-256.

        What is no media type (a kernel may call its output anything), or none that a file can be
        named after, is stored as "some bytes". When it returns, the bytes are on the disk; their
        name is after :meth:`sync`. Raises :class:`StoreError`, and has then stored nothing.
        """
        parts = [data] if isinstance(data, bytes | memoryview) else data
        digest, size = hashlib.sha256(), 0
        for part in parts:
            digest.update(part)
            size += memoryview(part).nbytes
        sha256 = digest.hexdigest()
        shard = self.directory / sha256[:2]
        target = shard / f"{sha256}.{_as_name(media_type)}"
        self._recent.pop(sha256, None)
        self._recent[sha256] = time.monotonic()
        self._forget_puts()
        with disk.storing(f"store a blob in {self.directory}"):
            if _size(target) != size:
                for changed in disk.make_directory(shard):
                    disk.sync_directory(changed)
                self._unsynced.add(shard)
                self._store(parts, size, target, _names_of(sha256, shard))
        return sha256

    def _store(self, parts: Sequence[Part], size: int, target: Path, names: list[Path]) -> None:
        for name in names:
            if name != target and _size(name) == size:
                try:
                    os.link(name, target)
                except OSError:  # there are filesystems without links
                    continue
                return
        before = _size(target)
        disk.replace(target, parts)
        self.total_bytes += size - (before or 0)
        self.count += not names

    def sync(self) -> None:
        """Bring the names of all that was put to the disk, before the document that has them.

        Raises :class:`StoreError`.
        """
        with disk.storing(f"store blobs in {self.directory}"):
            for shard in list(self._unsynced):
                disk.sync_directory(shard)
                self._unsynced.remove(shard)

    def collect(self, live: Collection[str]) -> Freed:
        """Remove the blobs that are neither named in ``live`` nor were put a short while ago.

        The document that does not name them any more must be on the disk: after a power failure
        it is the one before. Raises :class:`StoreError`.
        """
        self._forget_puts()
        with disk.storing(f"remove blobs from {self.directory}"):
            return self._collect(live if isinstance(live, AbstractSet) else frozenset(live))

    def _collect(self, live: AbstractSet[str] | None) -> Freed:
        """Remove and count; with None only count."""
        freed = Freed(0, 0)
        self.count = self.total_bytes = 0
        for shard in _shards(self.directory):
            # By blob and inode: a link takes no space.
            kept: dict[tuple[str, int], int] = {}
            gone: dict[tuple[str, int], int] = {}
            for entry in _blobs_in(shard):
                sha256, status = _sha256_of(entry.name), entry.stat()
                stays = live is None or sha256 in live or sha256 in self._recent
                (kept if stays else gone)[sha256, status.st_ino] = status.st_size
                if not stays:
                    os.unlink(entry.path)
            self.count += len({sha256 for sha256, _ in kept})
            self.total_bytes += sum(kept.values())
            blobs = len({sha256 for sha256, _ in gone})
            freed = Freed(freed.blobs + blobs, freed.bytes + sum(gone.values()))
        return freed

    def _forget_puts(self) -> None:
        until = time.monotonic() - self._grace_seconds
        while self._recent:
            sha256, at = next(iter(self._recent.items()))
            if at > until:
                return
            del self._recent[sha256]


# Names of files


def _as_name(media_type: str) -> str:
    name = quote(media_type, safe="") if _MEDIA_TYPE.fullmatch(media_type) else ""
    return name if 0 < len(name) <= _MAX_MEDIA_TYPE_BYTES else quote(BINARY, safe="")


def _media_type_of(name: str) -> str:
    return unquote(name.partition(".")[2])


def _sha256_of(name: str) -> str:
    return name.partition(".")[0]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _shards(directory: Path) -> Iterator[Path]:
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if _SHARD.fullmatch(entry.name)]
    yield from (directory / name for name in names)


def _blobs_in(shard: Path) -> list[os.DirEntry[str]]:
    with os.scandir(shard) as entries:
        return [entry for entry in entries if _SHA256.fullmatch(_sha256_of(entry.name))]


def _names_of(sha256: str, shard: Path) -> list[Path]:
    try:
        return [shard / name for name in os.listdir(shard) if name.startswith(f"{sha256}.")]
    except FileNotFoundError:
        return []
