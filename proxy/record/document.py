"""An Automerge document, as kmux uses one. The only module that touches ``automerge``.

The package is a thin layer over Rust, and its landmines end the process (0.2.0.dev4, each tried):

* a scalar of type Counter poisons a lock, and dropping the document is then a segmentation fault;
* so is dropping a document in the middle of a transaction;
* reading a Counter, which any peer can write, panics.

So values are checked by their exact type before they get there, a transaction is a ``with`` block
without a checkpoint in it, nothing that a peer sends gets in (``sync_messages.py``), and a document
that panicked is never dropped nor touched again: its owner makes another one
(:class:`DocumentBroken`).

History never shrinks: an overwritten value costs its bytes for as long as the document lives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NewType

from automerge import core

from proxy.errors import InternalError, StoreError

ObjId = NewType("ObjId", bytes)
ROOT = ObjId(core.ROOT)

Scalar = str | bytes | int | float | bool | None
Tree = dict[str, "Tree"] | list["Tree"] | Scalar

MAX_DEPTH = 32
_POISONED = "poisoned lock"
"""What automerge says of a document that panicked, whatever is tried with it next."""
_INT64 = 2**63

_TYPES: dict[type, Any] = {
    str: core.ScalarType.Str,
    bytes: core.ScalarType.Bytes,
    int: core.ScalarType.Int,
    float: core.ScalarType.F64,
    bool: core.ScalarType.Boolean,
    type(None): core.ScalarType.Null,
}


def _never_drop(broken: object) -> None:
    """Keep something alive past the end of the interpreter."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(broken))


class Change(NamedTuple):
    """What one transaction wrote, for those who have a copy."""

    hash: bytes
    data: bytes
    """Not compressed."""


class DocumentBroken(StoreError):
    """Automerge panicked over this document. It must not be used again."""


class Document:
    """One document. Used from one thread."""

    def __init__(self) -> None:
        self._doc: Any = core.Document()
        self._transaction: Any = None
        self.operations = 0
        """Values, objects and deletions that were written since it was made or loaded."""
        self.bytes_written = 0
        """Their size, as far as it is text or bytes."""
        self.changes = 0
        """Transactions that changed something."""

    @classmethod
    def load(cls, data: bytes) -> Document:
        """Load what :meth:`save` returned, followed by any number of changes.

        Raises :class:`StoreError` where it is damaged.
        """
        document = cls.__new__(cls)
        try:
            document._doc = core.Document.load(data)
        except Exception as error:
            raise StoreError(f"no Automerge document: {error}") from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise StoreError(f"no Automerge document: {error}") from None
        document._transaction = None
        document.operations = document.bytes_written = document.changes = 0
        return document

    def save(self) -> bytes:
        """Return the whole document, compressed."""
        with self._guarded():
            saved: bytes = self._doc.save()
            return saved

    @property
    def heads(self) -> list[bytes]:
        """The hashes of the last changes: where it is in its history."""
        with self._guarded():
            return list(self._doc.get_heads())

    def changes_since(self, heads: list[bytes]) -> bytes:
        """Return the changes since then, to be put behind what was saved."""
        with self._guarded():
            return b"".join(change.bytes for change in self._doc.get_changes(heads))

    def changes_after(self, heads: list[bytes]) -> list[Change]:
        """Return the changes that came after these heads of before, in order.

        It takes 8 µs, and 3 µs for each of them, however long the history is.
        """
        with self._guarded():
            changes = self._doc.get_changes(heads)
            return [Change(change.hash, change.raw_bytes) for change in changes]

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Write in one transaction. There must be no checkpoint in the block.

        An exception rolls everything back.
        """
        with self._guarded():
            before = self.operations
            self._transaction = self._doc.transaction()
            with self._transaction as transaction:
                yield Writer(self, transaction)
            self._transaction = None
            self.changes += self.operations > before

    def read(self) -> dict[str, Tree]:
        """Return all that is in it as plain values. Raises :class:`StoreError`, too deep."""
        with self._guarded():
            tree = self._read(bytes(ROOT), core.ObjType.Map, 0)
        assert isinstance(tree, dict)
        return tree

    def _read(self, obj: bytes, kind: Any, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise StoreError("the document is deeper than any that kmux writes")
        doc = self._doc
        if kind == core.ObjType.Map:
            return {key: self._value(doc.get(obj, key), depth) for key in doc.keys(obj)}
        if kind == core.ObjType.List:
            return [self._value(found, depth) for found in doc.values(obj)]
        text: str = doc.text(obj)
        return text

    def _value(self, found: Any, depth: int) -> Tree:
        value, obj = found
        if isinstance(value, tuple):
            scalar: Scalar = value[1]
            return scalar
        return self._read(obj, value, depth + 1)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if self._doc is None:
            raise DocumentBroken("this document panicked before")
        try:
            yield
        except BaseException as error:
            if type(error).__name__ != "PanicException" and _POISONED not in str(error):
                self._transaction = None
                raise
            for broken in (self._transaction, self._doc):
                _never_drop(broken)
            self._doc = self._transaction = None
            raise DocumentBroken(f"automerge panicked: {error}") from None


class Writer:
    """Writes into one transaction. Made by :meth:`Document.write`."""

    __slots__ = ("_document", "_transaction")

    def __init__(self, document: Document, transaction: Any) -> None:
        self._document = document
        self._transaction = transaction

    def put(self, obj: ObjId, key: str | int, value: Scalar) -> None:
        """Set a key of a map, or overwrite an element of a list."""
        kind, checked = self._checked(value)
        self._transaction.put(obj, key, kind, checked)

    def put_map(self, obj: ObjId, key: str | int) -> ObjId:
        """Set a key of a map, or overwrite an element of a list, with an empty map."""
        self._document.operations += 1
        return ObjId(self._transaction.put_object(obj, key, core.ObjType.Map))

    def put_list(self, obj: ObjId, key: str | int) -> ObjId:
        """Set a key of a map, or overwrite an element of a list, with an empty list."""
        self._document.operations += 1
        return ObjId(self._transaction.put_object(obj, key, core.ObjType.List))

    def insert(self, obj: ObjId, index: int, value: Scalar) -> None:
        """Insert into a list."""
        kind, checked = self._checked(value)
        self._transaction.insert(obj, index, kind, checked)

    def insert_map(self, obj: ObjId, index: int) -> ObjId:
        """Insert an empty map into a list."""
        self._document.operations += 1
        return ObjId(self._transaction.insert_object(obj, index, core.ObjType.Map))

    def delete(self, obj: ObjId, key: str | int) -> None:
        """Delete a key of a map, or an element of a list."""
        self._document.operations += 1
        self._transaction.delete(obj, key)

    def put_tree(self, obj: ObjId, key: str, tree: Tree) -> ObjId | None:
        """Set a key of a map to a value of any shape. Returns the id of an object."""
        if isinstance(tree, dict):
            inner = self.put_map(obj, key)
            for each, value in tree.items():
                self.put_tree(inner, each, value)
            return inner
        if isinstance(tree, list):
            inner = self.put_list(obj, key)
            for value in tree:
                self.append_tree(inner, value)
            return inner
        self.put(obj, key, tree)
        return None

    def append_tree(self, obj: ObjId, tree: Tree) -> ObjId | None:
        """Put a value of any shape at the end of a list. Lists in lists are not written."""
        index = self._transaction.length(obj)
        if isinstance(tree, dict):
            inner = self.insert_map(obj, index)
            for each, value in tree.items():
                self.put_tree(inner, each, value)
            return inner
        if isinstance(tree, list):
            raise InternalError("a list in a list has no place in the record")
        self.insert(obj, index, tree)
        return None

    def _checked(self, value: Scalar) -> tuple[Any, Scalar]:
        kind = _TYPES.get(type(value))
        if kind is None:
            raise InternalError(f"{type(value).__name__} is no value of a document")
        if type(value) is int and not -_INT64 <= value < _INT64:
            raise InternalError(f"{value} has no place in a document")
        if type(value) is str and not value.isascii():
            value = value.encode("utf-8", "replace").decode()  # lone surrogates are no text
        document = self._document
        document.operations += 1
        if isinstance(value, str | bytes):
            document.bytes_written += len(value)
        return kind, value
