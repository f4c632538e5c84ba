"""The environments that there are: each a directory named after what is in it, whole or not there.

``ready/KEY/``
    an environment. The key is a hash of all that was resolved, so equal needs share it
``needs/NEED.json``
    which one answers what was asked for: then nobody has to be asked again what is newest, and a
    notebook starts without a network
``building/RANDOM/``
    one that is being made. It is renamed when it is complete, so whatever is left here by a process
    that was killed is nobody's: who makes it holds ``locks/making-RANDOM`` meanwhile

Who makes one that others may want holds ``locks/KEY``, and who wants the same one waits for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import trio

from proxy.errors import DiskFull, NotFound, StoreError
from proxy.holding import hold, is_held, remove_unheld
from proxy.logs import log

MANIFEST = "kmux.json"
_USED = "kmux-used.json"
_ENVIRONMENT = "environment"
LOOK_SECONDS = 0.05
"""How often it is tried to have a lock that another process has."""
MAX_NOTEBOOKS = 20
FULL = (errno.ENOSPC, errno.EDQUOT)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an environment."""

    manager: str
    """What made it: uv or conda."""
    asked: tuple[str, ...]
    """What was asked for when it was made."""
    packages: tuple[str, ...]
    """What is in it, each with its version."""
    python: str
    """The Python in it, relative to its directory."""
    created: float
    """Seconds since 1970."""
    variables: dict[str, str] = {}
    """What its kernels are to have in their environment besides."""


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """When it was used last, and for what."""

    at: float
    notebooks: tuple[str, ...] = ()
    """The latest first."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """One that is complete."""

    key: str
    prefix: Path
    manifest: Manifest

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.prefix / self.manifest.python

    @property
    def used(self) -> Use:
        """When it was used last; when it was made, where it never was."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.prefix / _USED).read_bytes(), type=Use)
        return Use(at=self.manifest.created)

    def note_use(self, notebook: str | None = None) -> None:
        """Remember that it is used now. A disk that is full does not keep a kernel from it."""
        before = self.used.notebooks
        notebooks = (
            before if notebook is None else (notebook, *(n for n in before if n != notebook))
        )
        use = Use(at=time.time(), notebooks=notebooks[:MAX_NOTEBOOKS])
        with contextlib.suppress(OSError):
            write(self.prefix / _USED, msgspec.json.encode(use))

    def size(self) -> Size:
        """Return what its files have."""
        return _size(self.prefix)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What some files have, in bytes."""

    bytes: int = 0
    """All of them."""
    own: int = 0
    """Those that nobody else has: uv's cache has most of them too, by hard links."""


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that is not there any more."""

    key: str
    size: Size


Make = Callable[[Path, Path], Awaitable[Manifest]]
"""Makes an environment in the first directory, which is to be the second one in the end."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was resolved, and nothing made yet."""

    key: str
    """The same for equal contents."""
    make: Make


class Store:
    """All environments below one directory. Any number of processes may use it at once."""

    def __init__(self, root: Path) -> None:
        """Raises :class:`StoreError` where the directory cannot be used."""
        self._root = root
        self._make_places()

    def _make_places(self) -> None:
        """Have the directories, also where somebody emptied the cache meanwhile."""
        with explained(self._root):
            for name in ("ready", "needs", "building", "locks"):
                (self._root / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """Where all of it is."""
        return self._root

    def prefix(self, key: str) -> Path:
        """Return where the environment of this key is, or would be."""
        return self._root / "ready" / key

    def find(self, key: str) -> Environment | None:
        """Return the environment of this key, if there is one."""
        prefix = self.prefix(key)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            manifest = msgspec.json.decode((prefix / MANIFEST).read_bytes(), type=Manifest)
            found = Environment(key=key, prefix=prefix, manifest=manifest)
            if os.access(found.python, os.X_OK):  # its base may have been uninstalled
                return found
        return None

    def all(self) -> list[Environment]:
        """Return all environments, the one that was used last first."""
        found = [self.find(path.name) for path in (self._root / "ready").iterdir()]
        return sorted((each for each in found if each), key=lambda each: -each.used.at)

    def broken(self) -> list[str]:
        """Return the keys of those that are there and of no use: their Python was uninstalled."""
        ready = self._root / "ready"
        return [path.name for path in ready.iterdir() if self.find(path.name) is None]

    # What answers a need

    def answer(self, need: str) -> Environment | None:
        """Return the environment that answered this need before, if it is still there."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            key = msgspec.json.decode(
                (self._root / "needs" / f"{need}.json").read_bytes(), type=str
            )
            return self.find(key)
        return None

    def remember(self, need: str, key: str) -> None:
        """From now on this environment answers this need. Raises :class:`StoreError`."""
        with explained(self._root):
            write(self._root / "needs" / f"{need}.json", msgspec.json.encode(key))

    # Making and taking away

    async def answered(self, need: str, plan: Callable[[], Awaitable[Plan]]) -> Environment:
        """Return the environment that answers this need; where none does, what is planned for it.

        Raises what ``plan`` and making do, and :class:`StoreError`.
        """
        ready = self.answer(need)
        if ready is not None:
            return ready
        planned = await plan()
        made = await self.made(planned.key, planned.make)
        self.remember(need, made.key)
        return made

    async def made(self, key: str, make: Make) -> Environment:
        """Return the environment of this key; make it where there is none.

        Nothing of it is left where that fails or is cancelled. Raises what ``make`` does, and
        :class:`StoreError`.
        """
        async with self.alone(key):
            found = self.find(key)
            return found if found is not None else await self.make(key, make)

    async def make(self, key: str, make: Make) -> Environment:
        """Make the environment of a key that nobody else makes; else as :meth:`made`."""
        prefix = self.prefix(key)
        async with self.large_workplace() as directory:
            made = directory / _ENVIRONMENT
            manifest = await make(made, prefix)
            with explained(self._root):
                write(made / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
                if prefix.exists():  # it was there, and of no use
                    prefix.rename(directory / "broken")
                made.rename(prefix)
        return Environment(key=key, prefix=prefix, manifest=manifest)

    def remove(self, key: str) -> Removed:
        """Take an environment away. Raises :class:`NotFound`, :class:`StoreError`."""
        prefix = self.prefix(key)
        if not prefix.is_dir():
            raise NotFound(f"there is no environment {key!r}; kmux env list shows them")
        size = _size(prefix)
        with self.workplace() as directory, explained(self._root):
            prefix.rename(directory / _ENVIRONMENT)
        return Removed(key=key, size=size)

    def sweep(self) -> None:
        """Take away what processes left that were killed while they made something, and answers
        that are none any more."""
        for answer in (self._root / "needs").glob("*.json"):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                key = msgspec.json.decode(answer.read_bytes(), type=str)
                if not self.prefix(key).exists():
                    answer.unlink()
        with contextlib.suppress(OSError):
            for directory in (self._root / "building").iterdir():
                if not is_held(self._maker(directory.name)):
                    log().info("environment.swept", directory=str(directory))
                    shutil.rmtree(directory, ignore_errors=True)
            for lock in self._maker("").parent.glob(self._maker("*").name):
                remove_unheld(lock)

    def _maker(self, name: str) -> Path:
        """Return what a process holds before it makes a directory of this name, and afterwards."""
        return self._root / "locks" / f"making-{name}"

    def prune(
        self, max_bytes: int | None, in_use: Iterable[str] = (), *, unused_since: float = 0.0
    ) -> list[Removed]:
        """Take away those that were not used for the longest time, until the rest is small enough.

        ``max_bytes`` is what all may have together; None: any. Who was not used since
        ``unused_since`` (seconds since 1970) goes whatever the size, and so does what is of no use.
        ``in_use`` are keys of which kernels run.
        """
        used = frozenset(in_use)
        gone = [self.remove(key) for key in self.broken() if key not in used]
        sizes = [(each, each.used, each.size().bytes) for each in self.all()]
        total = sum(size for _, _, size in sizes)
        for each, use, size in reversed(sizes):
            is_old = use.at < unused_since
            is_too_much = max_bytes is not None and total > max_bytes
            is_unused = each.key not in used and each.used == use  # or it was used meanwhile
            if (is_old or is_too_much) and is_unused:
                with contextlib.suppress(NotFound):  # another process takes them away as well
                    gone.append(self.remove(each.key))
                total -= size
        return gone

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Have a directory for this process, which is gone in the end.

        Those of processes that were killed are :meth:`sweep`'s. Raises :class:`StoreError` where
        nothing can be written there.
        """
        place = _Workplace(self._root / "building", self._begin_workplace)
        try:
            with explained(self._root):
                yield place.make()
        finally:
            place.remove()

    @asynccontextmanager
    async def large_workplace(self) -> AsyncIterator[Path]:
        """Likewise, for much: what is left is removed in a thread, which may take seconds."""
        place = _Workplace(self._root / "building", self._begin_workplace)
        try:
            with explained(self._root):
                yield place.make()
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(place.remove)

    def _begin_workplace(self, name: str) -> tuple[Path, int]:
        """Return the lock of a directory of this name, and what holds it."""
        self._make_places()
        lock = self._maker(name)
        with explained(self._root):
            return lock, hold(lock)

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Wait until nobody else makes this one."""
        self._make_places()
        with explained(self._root):
            path = self._root / "locks" / key
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await trio.sleep(LOOK_SECONDS)
            yield
        finally:
            os.close(lock)


class _Workplace:
    """A directory that is held while something is made in it."""

    def __init__(self, building: Path, begin: Callable[[str], tuple[Path, int]]) -> None:
        self._directory = building / secrets.token_hex(8)
        self._lock, self._held = begin(self._directory.name)

    def make(self) -> Path:
        self._directory.mkdir(mode=0o700)
        return self._directory

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._lock.unlink(missing_ok=True)
        os.close(self._held)


def _size(prefix: Path) -> Size:
    """Add up what the files below a directory have."""
    total = own = 0
    for directory, _, files in os.walk(prefix):
        for name in files:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(directory, name))
                total += status.st_size
                own += status.st_size if status.st_nlink == 1 else 0
    return Size(bytes=total, own=own)


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Say in one line why something cannot be written."""
    try:
        yield
    except OSError as error:
        kind, what = (
            (DiskFull, "make room there") if error.errno in FULL else (StoreError, "see to it")
        )
        raise kind(
            f"cannot write to {root}: {error.strerror}; {what}, or set KMUX_CACHE_DIR to another "
            "directory"
        ) from None


def write(path: Path, raw: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(raw)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
