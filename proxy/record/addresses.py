"""What documents are called: automerge-repo's document ids and URLs.

An id is a random UUID in base58check: Bitcoin's alphabet, no version byte, and four bytes of a
checksum that is SHA-256 twice. A URL is ``automerge:`` and an id; ``#`` and heads may follow, which
name a moment in its history.

Base58 is written out here: the package for it (base58 2.1.1) has had no release since 2021, and
strips blanks from what it decodes.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import NewType

from proxy.errors import ClientProtocolError

DocumentId = NewType("DocumentId", str)

PREFIX = "automerge:"

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_UUID_BYTES, _CHECKSUM_BYTES = 16, 4
_MAX_CHARACTERS = 28
"""20 bytes in base58."""


def new_document_id() -> DocumentId:
    """Make an id that no document has."""
    return document_id_of(uuid.uuid4().bytes)


def document_id_of(raw: bytes) -> DocumentId:
    """Write the 16 bytes of a UUID as an id."""
    assert len(raw) == _UUID_BYTES, "a document is called by a UUID"
    checked = raw + _checksum(raw)
    number = int.from_bytes(checked, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    zeros = len(checked) - len(checked.lstrip(b"\0"))  # leading ones are written one by one
    return DocumentId(_ALPHABET[0] * zeros + "".join(reversed(digits)))


def bytes_of(document_id: str) -> bytes:
    """Read an id: the 16 bytes of its UUID.

    Raises :class:`ClientProtocolError` where it is none.
    """
    if not 0 < len(document_id) <= _MAX_CHARACTERS:
        raise ClientProtocolError("no document id: it has another length")
    number = 0
    for character in document_id:
        value = _VALUES.get(character)
        if value is None:
            raise ClientProtocolError(f"no document id: {character!r} is no digit of base58")
        number = number * 58 + value
    zeros = len(document_id) - len(document_id.lstrip(_ALPHABET[0]))
    checked = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    raw, checksum = checked[:-_CHECKSUM_BYTES], checked[-_CHECKSUM_BYTES:]
    if len(raw) != _UUID_BYTES or checksum != _checksum(raw):
        raise ClientProtocolError("no document id: its checksum is another")
    return raw


def url_of(document_id: DocumentId) -> str:
    """Return the URL of a document."""
    return PREFIX + document_id


def document_id_in(url: str) -> DocumentId:
    """Return the id of the document that a URL names, at whatever moment of its history.

    Raises :class:`ClientProtocolError` where it is no such URL.
    """
    if not url.startswith(PREFIX):
        raise ClientProtocolError(f"no URL of a document: it does not begin with {PREFIX}")
    document_id = url.removeprefix(PREFIX).partition("#")[0]
    bytes_of(document_id)
    return DocumentId(document_id)


def _checksum(raw: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()[:_CHECKSUM_BYTES]
