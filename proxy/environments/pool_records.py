"""Whose each environment of the pool is: a file for each, which is renamed from hand to hand.

``pool/waiting/KEY.json``
    it is complete, and whoever wants it may take it
``pool/taken/KEY.OWNER.json``
    it is made or used by this owner, or was, until that one ended
``pool/kept/KEY.json``
    it was used, and a notebook's own since
``pool/owners/OWNER``
    is held while the owner lives, by the system: however it ends, it is known

A file is renamed by one process only, whoever tries it besides: so each environment is taken once.
There is a record before there is an environment, and as long as there is one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from proxy.environments.store import explained, write
from proxy.environments.wishes import Kind
from proxy.holding import hold, is_held, remove_unheld

_SUFFIX = ".json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know about one."""

    kind: Kind
    made_for: str
    """:attr:`PoolWish.made_for` of what was wanted when it was made."""
    contents: str = ""
    """What was in it when it was complete (:func:`contents_of`); empty: it never was."""


class Records:
    """All of them, below one directory. One owner, which is there when it owns something."""

    def __init__(self, root: Path, place: str = "") -> None:
        """``place`` stands for where sessions are remembered: only who remembers the same ones
        knows whether a kernel of theirs still runs. It is part of the owner's name."""
        self._place = place
        self._root = root
        self._owner: tuple[str, int] | None = None

    def waiting(self) -> dict[str, Record]:
        """Return those that may be taken."""
        return dict(self._read("waiting"))

    def kept(self) -> dict[str, Record]:
        """Return those that are notebooks'."""
        return dict(self._read("kept"))

    def taken(self) -> dict[str, bool]:
        """Return those that somebody owns, and whether that one lives."""
        found = {}
        for path in self._paths("taken"):
            owner = path.name.removesuffix(_SUFFIX).rpartition(".")[2]
            found[_taken_key(path)] = is_held(self._root / "owners" / owner)
        return found

    def left_behind(self) -> list[str]:
        """Return those that an owner has left who remembered the same sessions as we do."""
        found = []
        for path in self._paths("taken"):
            owner = path.name.removesuffix(_SUFFIX).rpartition(".")[2]
            of_ours = owner.partition("-")[0] == self._place if "-" in owner else not self._place
            if of_ours and not is_held(self._root / "owners" / owner):
                found.append(_taken_key(path))
        return found

    def record(self, key: str) -> Record | None:
        """Return that of an environment that somebody owns."""
        path = self._of_taken(key)
        return _decoded(path) if path is not None else None

    # From hand to hand. Each raises StoreError where nothing can be written

    def begin(self, key: str, record: Record) -> None:
        """Own an environment that is not there yet."""
        self._write(self._ours(key), record)

    def change(self, key: str, record: Record) -> None:
        """Know something else about one that we own."""
        self._write(self._ours(key), record)

    def take(self, key: str) -> bool:
        """Own one that waits. False: somebody else has it, or it is gone."""
        return self._rename(self._path("waiting", key), self._ours(key))

    def take_kept(self, key: str) -> bool:
        """Likewise one that is a notebook's."""
        return self._rename(self._path("kept", key), self._ours(key))

    def inherit(self, key: str) -> bool:
        """Likewise one that another owner has, or had."""
        path = self._of_taken(key)
        return path is not None and self._rename(path, self._ours(key))

    def offer(self, key: str) -> None:
        """Have it wait."""
        self._rename(self._ours(key), self._path("waiting", key))

    def keep(self, key: str) -> None:
        """Have it be a notebook's."""
        self._rename(self._ours(key), self._path("kept", key))

    def forget(self, key: str) -> None:
        """Own it no longer: it is gone."""
        with explained(self._root):
            self._ours(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Forget owners that ended."""
        for path in self._paths("owners", ""):
            with contextlib.suppress(OSError):
                remove_unheld(path)

    def close(self) -> None:
        """Own nothing any more."""
        if self._owner is not None:
            name, descriptor = self._owner
            self._owner = None
            with contextlib.suppress(OSError):
                (self._root / "owners" / name).unlink()
            os.close(descriptor)

    # Files

    def _path(self, place: str, name: str) -> Path:
        return self._root / place / f"{name}{_SUFFIX}"

    def _ours(self, key: str) -> Path:
        with explained(self._root):
            for place in ("waiting", "taken", "kept", "owners"):
                (self._root / place).mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._owner is None:
                name = "-".join(filter(None, (self._place, secrets.token_hex(8))))
                self._owner = name, hold(self._root / "owners" / name)
        return self._path("taken", f"{key}.{self._owner[0]}")

    def _of_taken(self, key: str) -> Path | None:
        return next((p for p in self._paths("taken") if _taken_key(p) == key), None)

    def _paths(self, place: str, suffix: str = _SUFFIX) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._root / place)):
                if name.endswith(suffix) and not name.startswith("."):
                    yield self._root / place / name

    def _read(self, place: str) -> Iterator[tuple[str, Record]]:
        for path in self._paths(place):
            record = _decoded(path)
            if record is not None:
                yield path.name.removesuffix(_SUFFIX), record

    def _write(self, path: Path, record: Record) -> None:
        with explained(self._root):
            write(path, msgspec.json.encode(record))

    def _rename(self, old: Path, new: Path) -> bool:
        with explained(self._root):
            try:
                old.rename(new)
            except FileNotFoundError:
                return False
        return True


def _taken_key(path: Path) -> str:
    return path.name.removesuffix(_SUFFIX).rpartition(".")[0]


def _decoded(path: Path) -> Record | None:
    """Read one; None where it is gone. One that cannot be read is of nothing that is wanted."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        return Record(kind="uv", made_for="")
