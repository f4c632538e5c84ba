"""automerge-repo's messages: CBOR maps, one in each frame of a WebSocket (PROTOCOL: the network
protocol of automerge-repo 2.5; where its README and its code differ, the code).

Frames come from anybody who has the token, so they are decoded strictly: no tags (cbor2 would
compile regular expressions and build numbers of any size), nothing of indefinite length, no depth,
no key twice; then each field that is used is checked for its exact type. Field names that are not
known are passed over, and so are messages of a type that is not known.
"""

from __future__ import annotations

from typing import Any, NoReturn

import cbor2
import msgspec

from proxy.errors import ClientProtocolError
from proxy.record.addresses import DocumentId

PROTOCOL_VERSION = "1"
MAX_ID_CHARACTERS = 200
"""Ids of peers, sessions and documents. automerge-repo's own have less than 40."""
MAX_DEPTH = 16


class Join(msgspec.Struct, frozen=True):
    """A peer's first message: who it is, and which versions it speaks."""

    sender: str
    versions: tuple[str, ...]


class Sync(msgspec.Struct, frozen=True):
    """A message of Automerge's own about a document (``sync_messages.py``).

    A request is the first of a peer that has nothing of the document, and wants to be told if
    we have nothing either.
    """

    document_id: DocumentId
    data: bytes
    is_request: bool


class Ephemeral(msgspec.Struct, frozen=True):
    """A word to whoever else has a document open, kept nowhere: a cursor, a presence."""

    sender: str
    session: str
    """With ``count``, which grows, it tells a message from its copies."""
    count: int
    document_id: DocumentId
    data: bytes


class Leave(msgspec.Struct, frozen=True):
    """A peer says goodbye. automerge-repo's README has it; its code hangs up without."""


class Other(msgspec.Struct, frozen=True):
    """Something that a server of documents has no use for: it is passed over.

    ``remote-subscription-change`` and ``remote-heads-changed`` (who has stored what elsewhere),
    ``doc-unavailable`` (what we never ask for), and what later versions may bring.
    """

    type: str


PeerMessage = Join | Sync | Ephemeral | Leave | Other


def _refuse(*args: object) -> NoReturn:
    raise ValueError("no tag has a place here")


_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000)
_DECODERS = dict.fromkeys((*_TAGS, 55799), _refuse)


def decode(frame: bytes) -> PeerMessage:
    """Read what a peer sent. Raises :class:`ClientProtocolError`, and nothing else."""
    try:
        fields = cbor2.loads(
            frame,
            max_depth=MAX_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
            semantic_decoders=_DECODERS,
            tag_hook=_refuse,
        )
    except Exception as error:  # cbor2 lets more than its own errors through
        raise ClientProtocolError(f"no CBOR: {error}") from None
    if type(fields) is not dict:
        raise ClientProtocolError("no message: it is no map")
    kind = _text(fields, "type")
    match kind:
        case "join":
            return Join(_text(fields, "senderId"), _versions(fields))
        case "sync" | "request":
            return Sync(_document_id(fields), _bytes(fields, "data"), kind == "request")
        case "ephemeral":
            return Ephemeral(
                sender=_text(fields, "senderId"),
                session=_text(fields, "sessionId"),
                count=_count(fields),
                document_id=_document_id(fields),
                data=_bytes(fields, "data"),
            )
        case "leave":
            return Leave()
    return Other(kind)


def peer(sender: str, target: str) -> bytes:
    """Write the answer to a :class:`Join`.

    Nothing of us is worth a place in a peer's storage (``isEphemeral``): it asks us again.
    """
    return cbor2.dumps(
        {
            "type": "peer",
            "senderId": sender,
            "targetId": target,
            "peerMetadata": {"isEphemeral": True},
            "selectedProtocolVersion": PROTOCOL_VERSION,
        }
    )


def error(sender: str, target: str, message: str) -> bytes:
    """Write why the connection is going to be closed."""
    return cbor2.dumps(
        {"type": "error", "senderId": sender, "targetId": target, "message": message}
    )


def sync(sender: str, target: str, document_id: DocumentId, data: bytes) -> bytes:
    """Write a message of Automerge's own."""
    return cbor2.dumps(
        {
            "type": "sync",
            "senderId": sender,
            "targetId": target,
            "documentId": document_id,
            "data": data,
        }
    )


def unavailable(sender: str, target: str, document_id: DocumentId) -> bytes:
    """Write that there is no such document."""
    return cbor2.dumps(
        {
            "type": "doc-unavailable",
            "senderId": sender,
            "targetId": target,
            "documentId": document_id,
        }
    )


def ephemeral(message: Ephemeral, target: str) -> bytes:
    """Write a peer's word for another one: in the name of who said it, with its count."""
    return cbor2.dumps(
        {
            "type": "ephemeral",
            "senderId": message.sender,
            "targetId": target,
            "sessionId": message.session,
            "count": message.count,
            "documentId": message.document_id,
            "data": message.data,
        }
    )


def _text(fields: dict[Any, Any], name: str) -> str:
    value = fields.get(name)
    if type(value) is not str or not 0 < len(value) <= MAX_ID_CHARACTERS:
        raise ClientProtocolError(f"no message: its {name} is no short text")
    return value


def _document_id(fields: dict[Any, Any]) -> DocumentId:
    return DocumentId(_text(fields, "documentId"))


def _bytes(fields: dict[Any, Any], name: str) -> bytes:
    value = fields.get(name)
    if type(value) is not bytes or not value:
        raise ClientProtocolError(f"no message: its {name} is no bytes")
    return value


def _count(fields: dict[Any, Any]) -> int:
    value = fields.get("count")
    if type(value) is not int or not 0 <= value < 2**53:
        raise ClientProtocolError("no message: its count is no number")
    return value


def _versions(fields: dict[Any, Any]) -> tuple[str, ...]:
    value = fields.get("supportedProtocolVersions")
    if value is None or value is cbor2.undefined:
        return (PROTOCOL_VERSION,)  # as automerge-repo's own server has it
    if type(value) is not list or not all(type(version) is str for version in value):
        raise ClientProtocolError("no message: its versions are no texts")
    return tuple(value)
