"""The chunks of a saved Automerge document: which of its bytes are whole.

Theory (automerge.org, "Automerge Binary Format"): a document on disk is one chunk after the other,
a snapshot and the changes since. A chunk is ``85 6f 4a 83``, four bytes of checksum, a byte for
its kind, the length of its contents as an unsigned LEB128 number, and the contents. The checksum
is the beginning of the SHA-256 of kind, length and contents; that of a compressed change (kind 2)
is the one of the change that it is compressed from (kind 1), and so the beginning of the hash by
which Automerge knows that change.

Nothing damaged is given to Automerge, where the checksum would be found wrong just as well: what
is found out here is where.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"\x85\x6f\x4a\x83"
DOCUMENT, CHANGE, COMPRESSED_CHANGE = 0, 1, 2

_CHECKSUM_BYTES = 4
_KIND_AT = len(MAGIC) + _CHECKSUM_BYTES
_MAX_LENGTH_BYTES = 10
"""Of a LEB128 number of 64 bits."""


class Chunk(NamedTuple):
    """One chunk that is whole."""

    kind: int
    checksum: bytes
    end: int
    """Where the next one begins."""


class _Frame(NamedTuple):
    """What the first bytes of a chunk say of it."""

    kind: int
    checksum: bytes
    begins: int
    """Where its contents begin."""
    end: int


def whole_chunks(data: bytes) -> Iterator[Chunk]:
    """Walk the chunks from the beginning, as far as they are whole and their checksums right."""
    at = 0
    while (chunk := _chunk_at(data, at)) is not None:
        yield chunk
        at = chunk.end


def is_torn(rest: bytes) -> bool:
    """Whether this, where a chunk should be, is one that was not written to its end.

    That is what a process leaves that is killed while it writes. All else (other bytes, a chunk
    with a wrong checksum, one that is followed by whole ones) is damage.
    """
    if rest[: len(MAGIC)] != MAGIC[: len(rest)]:
        return False
    frame = _frame_at(rest, 0)
    if frame is None:  # its length is cut as well, unless that is nonsense
        return len(rest) < _KIND_AT + 1 + _MAX_LENGTH_BYTES
    if frame.end <= len(rest):
        return False
    at = rest.find(MAGIC, 1)
    while at >= 0:
        if _chunk_at(rest, at) is not None:
            return False  # the length is damaged
        at = rest.find(MAGIC, at + 1)
    return True


def _chunk_at(data: bytes, at: int) -> Chunk | None:
    frame = _frame_at(data, at)
    if frame is None or frame.end > len(data):
        return None
    contents = memoryview(data)[frame.begins : frame.end]
    if frame.kind == COMPRESSED_CHANGE:
        checksum = _checksum_of_compressed(contents)
    else:
        checksum = _checksum(memoryview(data)[at + _KIND_AT : frame.begins], contents)
    if checksum != frame.checksum:
        return None
    return Chunk(frame.kind, frame.checksum, frame.end)


def _frame_at(data: bytes, at: int) -> _Frame | None:
    if not data.startswith(MAGIC, at):
        return None
    length = shift = 0
    begins = at + _KIND_AT + 1
    for byte in data[begins : begins + _MAX_LENGTH_BYTES]:
        begins += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            checksum = data[at + len(MAGIC) : at + _KIND_AT]
            return _Frame(data[at + _KIND_AT], checksum, begins, begins + length)
    return None


def _checksum(kind_and_length: bytes | memoryview, contents: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(kind_and_length)
    digest.update(contents)
    return digest.digest()[:_CHECKSUM_BYTES]


def _checksum_of_compressed(contents: memoryview) -> bytes | None:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        change = inflate.decompress(contents)
    except zlib.error:
        return None
    if not inflate.eof or inflate.unused_data:
        return None
    return _checksum(bytes([CHANGE]) + _leb128(len(change)), change)


def _leb128(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
