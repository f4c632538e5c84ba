"""Payloads of a kernel's WebSocket to messages and back, in the two forms that there are.

``v1.kernel.websocket.jupyter.org`` (Jupyter Server, "Websocket kernel wire protocols"), binary::

    u64 n | n × u64 offset | channel header parent_header metadata content [buffer, ...]

All integers are little-endian; the offsets are those at which a part begins, and where the last one
ends. The parts are the frames that ZMQ has.

The *legacy* form is text: a JSON object of ``channel`` and those parts, with ``msg_id`` and
``msg_type`` once more. It has no room for buffers. (There is a binary variant that has; a server
that speaks it cannot be told from one that dies of it: jupyter_server's gateway client.)

Pure functions.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import msgspec

from proxy.errors import ClientProtocolError
from proxy.message import JSON_ERRORS, Channel, Header, Message, Part
from proxy.wire.zmq_frames import MAX_BUFFERS, MAX_HEADER_BYTES, decode_parent

V1 = "v1.kernel.websocket.jupyter.org"
"""The name of the subprotocol."""
LEGACY = ""

_JSON_PARTS = 5
"""Those of each message, the channel among them."""
_CHANNELS = {str(channel).encode(): channel for channel in Channel if channel != "hb"}
_header_decoder = msgspec.json.Decoder(Header)
_u64 = struct.Struct("<Q")


class _Legacy(msgspec.Struct, frozen=True):
    """What is read of a text message. Each part stays as its sender wrote it."""

    header: msgspec.Raw
    channel: str = "shell"
    """jupyter_server takes a message that does not say for one on shell."""
    parent_header: msgspec.Raw = msgspec.Raw(b"{}")
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    content: msgspec.Raw = msgspec.Raw(b"{}")


_legacy_decoder = msgspec.json.Decoder(_Legacy)


def encode_v1(channel: Channel, message: Message) -> bytes:
    """Make the payload of a binary message."""
    parts: list[Part] = [
        channel.encode(),
        message.raw_header,
        message.raw_parent,
        message.raw_metadata,
        message.raw_content,
        *message.buffers,
    ]
    count = len(parts) + 1
    offset = 8 * (count + 1)
    offsets = [offset]
    for part in parts:
        offset += len(part)
        offsets.append(offset)
    return b"".join((struct.pack(f"<{count + 1}Q", count, *offsets), *parts))


def decode_v1(payload: bytes) -> tuple[Channel, Message]:
    """Take a binary message apart. Raises :class:`ClientProtocolError`."""
    if len(payload) < _u64.size:
        raise ClientProtocolError("a binary message of less than 8 bytes")
    (count,) = _u64.unpack_from(payload)
    if not _JSON_PARTS < count <= _JSON_PARTS + 1 + MAX_BUFFERS:
        raise ClientProtocolError(f"a binary message of {count} offsets; 6 are needed")
    if len(payload) < 8 * (count + 1):
        raise ClientProtocolError("a binary message that ends among its offsets")
    offsets = struct.unpack_from(f"<{count}Q", payload, _u64.size)
    if offsets[0] < 8 * (count + 1) or offsets[-1] > len(payload):
        raise ClientProtocolError("a binary message whose offsets lead out of it")
    spans = list(pairwise(offsets))
    if any(start > end for start, end in spans):
        raise ClientProtocolError("a binary message whose offsets lead back")
    view = memoryview(payload)
    channel, header, parent, metadata, content = (payload[s:e] for s, e in spans[:_JSON_PARTS])
    buffers = tuple(view[s:e] for s, e in spans[_JSON_PARTS:])
    return _channel(channel), _message(header, parent, metadata, content, buffers)


def encode_legacy(channel: Channel, message: Message) -> bytes:
    """Make the payload of a text message: UTF-8 whatever a kernel has put out, and no buffers."""
    header = message.header
    payload = b"".join(
        (
            b'{"channel":"',
            channel.encode(),
            b'","msg_id":',
            msgspec.json.encode(header.msg_id),
            b',"msg_type":',
            msgspec.json.encode(header.msg_type),
            b',"header":',
            message.raw_header,
            b',"parent_header":',
            _object(message.raw_parent),
            b',"metadata":',
            _object(message.raw_metadata),
            b',"content":',
            _object(message.raw_content),
            b',"buffers":[]}',
        )
    )
    try:
        payload.decode()
    except UnicodeDecodeError:
        return payload.decode(errors="replace").encode()
    return payload


def decode_legacy(payload: bytes | str) -> tuple[Channel, Message]:
    """Take a text message apart. Raises :class:`ClientProtocolError`."""
    try:
        parts = _legacy_decoder.decode(payload)
    except JSON_ERRORS as error:
        raise ClientProtocolError(f"a text message that is no Jupyter message: {error}") from None
    return _channel(parts.channel.encode()), _message(
        bytes(parts.header),
        bytes(parts.parent_header),
        bytes(parts.metadata),
        bytes(parts.content),
        (),
    )


def _channel(name: bytes) -> Channel:
    channel = _CHANNELS.get(name)
    if channel is None or channel is Channel.IOPUB:
        raise ClientProtocolError("a message for a channel on which clients say nothing")
    return channel


def _message(
    header: bytes, parent: bytes, metadata: bytes, content: bytes, buffers: tuple[Part, ...]
) -> Message:
    if len(header) > MAX_HEADER_BYTES or len(parent) > MAX_HEADER_BYTES:
        raise ClientProtocolError(f"a header of more than {MAX_HEADER_BYTES} bytes")
    try:
        decoded = _header_decoder.decode(header)
    except JSON_ERRORS as error:
        raise ClientProtocolError(f"header: {error}") from None
    return Message(
        decoded,
        decode_parent(parent, ClientProtocolError),
        header,
        parent,
        metadata,
        content,
        buffers,
    )


def _object(raw: Part) -> Part:
    """Return a JSON object where a kernel has put nothing or null (xeus-python)."""
    return raw if len(raw) and raw != b"null" else b"{}"
