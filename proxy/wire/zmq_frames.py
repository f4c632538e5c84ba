"""ZMQ multipart frames to messages and back.

On the wire (Jupyter messaging, "The wire protocol")::

    [routing frame, ...] <IDS|MSG> signature header parent_header metadata content [buffer, ...]

Pure functions. What is wrong with frames is raised as :class:`ProtocolError` of the kind that the
caller names, so that the blame is in the error.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.errors import ProtocolError
from proxy.message import JSON_ERRORS, Header, Message, Part
from proxy.wire.signing import Signer

DELIMITER = b"<IDS|MSG>"

MAX_ROUTING_FRAMES = 8
"""One for each hop; nobody is known to chain more than two proxies."""
MAX_ROUTING_BYTES = 2048
MAX_HEADER_BYTES = 32 * 1024
"""A header is some 250 bytes. The bound keeps a frontend from making us parse megabytes."""
MAX_BUFFERS = 16 * 1024
"""ipywidgets sends one buffer per binary trait; update_states of 1,000 models sends thousands."""

_header_decoder = msgspec.json.Decoder(Header)
_parent_decoder = msgspec.json.Decoder(Header | None)
_NO_PARENT = frozenset((b"{}", b"null", b""))

_last_parent: tuple[bytes, Header | None] = (b"{}", None)
"""The outputs of a cell come in a row and have one parent: its bytes are compared, not decoded."""


def decode(
    frames: Sequence[Part], signer: Signer, blame: type[ProtocolError]
) -> tuple[tuple[bytes, ...], Message]:
    """Split, verify and decode the headers of one multipart message.

    Returns the routing frames ahead of the delimiter and the message. Raises ``blame`` for
    anything that is not a well-formed, rightly signed message.
    """
    try:
        start = frames.index(DELIMITER, 0, MAX_ROUTING_FRAMES + 1)
    except ValueError:
        raise blame("no <IDS|MSG> delimiter in the first frames") from None
    if len(frames) < start + 6:
        raise blame(f"{len(frames) - start - 1} frames after the delimiter; at least 5 are needed")
    if len(frames) > start + 6 + MAX_BUFFERS:
        raise blame(f"more than {MAX_BUFFERS} buffers")
    signature, header, parent, metadata, content = frames[start + 1 : start + 6]
    if len(header) > MAX_HEADER_BYTES or len(parent) > MAX_HEADER_BYTES or len(signature) > 1024:
        raise blame(f"a header of more than {MAX_HEADER_BYTES} bytes")
    routing = frames[:start]
    if start and (len(routing[0]) if start == 1 else sum(map(len, routing))) > MAX_ROUTING_BYTES:
        raise blame(f"routing frames of more than {MAX_ROUTING_BYTES} bytes")
    if not signer.verify(signature, header, parent, metadata, content):
        raise blame("wrong signature" if signature else "unsigned message; the key is needed")
    try:
        decoded_header = _header_decoder.decode(header)
    except JSON_ERRORS as error:
        raise blame(f"header: {error}") from None
    return tuple(map(bytes, routing)), Message(
        decoded_header,
        decode_parent(parent, blame),
        bytes(header),
        bytes(parent),
        metadata,
        content,
        tuple(frames[start + 6 :]),
        bytes(routing[0]) if start else b"",
        bytes(signature),
        signer,
    )


def decode_parent(raw: Part, blame: type[ProtocolError]) -> Header | None:
    """Decode a parent header; ``{}``, null (xeus-python) and one without msg_id are None."""
    global _last_parent  # noqa: PLW0603 (a cache of one)
    if raw == _last_parent[0]:
        return _last_parent[1]
    parent: Header | None = None
    if raw not in _NO_PARENT:
        try:
            parent = _decode_parent(raw)
        except JSON_ERRORS as error:
            raise blame(f"parent_header: {error}") from None
    _last_parent = (bytes(raw), parent)
    return parent


def _decode_parent(raw: Part) -> Header | None:
    try:
        parent: Header = _parent_decoder.decode(raw)
    except msgspec.ValidationError:
        # JSON, but not a header: nobody's child. The error may have come before all was read.
        msgspec.json.decode(raw)
        return None
    return parent


def encode(routing: Sequence[bytes], message: Message, signer: Signer) -> list[Part]:
    """Build the frames of a message behind the given routing frames.

    The signature is made only where the message was not signed with the same key before.
    """
    if message.signed_by is signer:
        signature = message.signature
    else:
        signature = signer.sign(
            message.raw_header, message.raw_parent, message.raw_metadata, message.raw_content
        )
    return [
        *routing,
        DELIMITER,
        signature,
        message.raw_header,
        message.raw_parent,
        message.raw_metadata,
        message.raw_content,
        *message.buffers,
    ]
