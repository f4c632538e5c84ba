"""Automerge's sync messages: what a peer has of a document, and what we send it.

Theory ("Byzantine Eventual Consistency", arXiv 2012.00472; automerge 0.7.2, ``sync.rs``). A message
says where its sender is in the document's history (heads), which changes it needs by name, and what
else it has (``have``: the heads that it knew both to have when they last spoke, and a Bloom filter
of what it made since); and it brings changes. Who receives it sends what the other one lacks.

Peers only read what we write, so this module is the gate: of their messages only names of changes
are taken, and Automerge itself never sees a byte of them. That is also what keeps it alive: 12
bytes of a Bloom filter of a peer's own making hold it, and the GIL, for three minutes (a number of
probes without bound), and others make it panic (0.2.0.dev4; tried).

Our own messages say that we need nothing, and have nothing to compare with (an empty ``have``,
which says "only what I ask for" to each version of Automerge). So a peer that writes never sends
its changes, it diverges alone, and goes on to receive ours. To those that understand it (Automerge
0.9 and later) they also say so: the flag READ_ONLY.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.errors import ClientProtocolError

MAX_HASHES = 10_000
"""Of one kind in a message. Heads are as many as peers write at once: one or two."""
MAX_HAVE = 100
MAX_CHANGES = 1_000
"""In a message of which what comes after them is read. A peer's first message has none."""

_TYPES = (0x42, 0x43)  # changes one by one; changes, or a whole document, in one piece
_HASH_BYTES = 32
_READS_PIECES = 0x02
_READ_ONLY = 0x82
_FLAGS = bytes([2, _READS_PIECES, _READ_ONLY])
_NOTHING_NEEDED = _NOTHING_TO_COMPARE_WITH = b"\0"


class SyncMessage(msgspec.Struct, frozen=True):
    """What a peer said of its copy."""

    heads: tuple[bytes, ...]
    """The hashes of its last changes."""
    need: tuple[bytes, ...]
    """Changes that it lacks, although it has later ones."""
    last_sync: tuple[bytes, ...]
    """Changes that it had when it last heard from us."""
    reads_pieces: bool
    """Whether it says that it understands messages of the second type (Automerge 0.5.8)."""


def decode(data: bytes) -> SyncMessage:
    """Read a peer's message. Raises :class:`ClientProtocolError`, and nothing else."""
    reader = _Reader(data)
    if reader.byte() not in _TYPES:
        raise ClientProtocolError("no sync message: its type is not known")
    heads = reader.hashes()
    need = reader.hashes()
    last_sync: list[bytes] = []
    have = reader.number()
    if have > MAX_HAVE:
        raise ClientProtocolError("no sync message: it has too many filters")
    for _ in range(have):
        last_sync += reader.hashes()
        reader.skip(reader.number())
    changes = reader.number()
    reads_pieces = False
    if changes <= MAX_CHANGES:
        for _ in range(changes):
            reader.skip(reader.number())
        if not reader.at_end:
            reads_pieces = _READS_PIECES in reader.skip(reader.number())
    return SyncMessage(heads, need, tuple(last_sync), reads_pieces)


def encode(heads: Sequence[bytes], changes: Sequence[bytes], *, in_pieces: bool) -> bytes:
    """Write a message that brings changes: in pieces (anything that can be loaded), or one by one.

    The latter are single changes, not compressed.
    """
    message = [
        bytes([_TYPES[in_pieces]]),
        _number(len(heads)),
        *sorted(heads),
        _NOTHING_NEEDED,
        _NOTHING_TO_COMPARE_WITH,
    ]
    if in_pieces and changes:
        changes = [b"".join(changes)]
    message.append(_number(len(changes)))
    for change in changes:
        message += [_number(len(change)), change]
    message.append(_FLAGS)
    return b"".join(message)


def _number(value: int) -> bytes:
    """Write an unsigned LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class _Reader:
    """Reads from the beginning to the end, and never past it."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def byte(self) -> int:
        return self.skip(1)[0]

    def number(self) -> int:
        """Read an unsigned LEB128 of at most 32 bits: a number of things that follow."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ClientProtocolError("no sync message: a number is too large")

    def hashes(self) -> tuple[bytes, ...]:
        count = self.number()
        if count > MAX_HASHES:
            raise ClientProtocolError("no sync message: it names too many changes")
        raw = self.skip(count * _HASH_BYTES)
        return tuple(raw[at : at + _HASH_BYTES] for at in range(0, len(raw), _HASH_BYTES))

    def skip(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ClientProtocolError("no sync message: it is cut off")
        skipped = self._data[self._at : end]
        self._at = end
        return skipped
