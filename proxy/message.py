"""Jupyter messages as kmux holds them: raw bytes, with only the two headers decoded.

A message passes through kmux byte for byte (its msg_id included), so what counts is the raw
form. Routing needs the header and the parent header, and they are decoded once, on arrival;
metadata, content and buffers stay bytes until somebody asks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NewType, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

Part: TypeAlias = bytes | memoryview
"""One frame. Large ones are memoryviews of libzmq's own memory, so that they are never copied."""

ClientId = NewType("ClientId", tuple[bytes, ...])
"""Who sent a request: the endpoint's tag, then the frames ahead of the delimiter (for ZMQ the
routing identity). The same frames are the routing prefix upstream; a kernel gives them back."""

MsgId = NewType("MsgId", str)


def comes_back(client: ClientId) -> bool:
    """Whether this client has the same id when it connects again.

    libzmq's own routing identities start with a zero byte and are never used again
    (zmq_socket(3)); servers that probe a kernel have such ones.
    """
    return client[-1][:1] != b"\x00"


JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON that was asked for. The latter two are for
invalid UTF-8 in keys and for depth, and are no ``MsgspecError``."""


class Channel(StrEnum):
    """The five channels of the Jupyter messaging protocol."""

    SHELL = "shell"
    CONTROL = "control"
    STDIN = "stdin"
    IOPUB = "iopub"
    HEARTBEAT = "hb"


class Header(msgspec.Struct, frozen=True, gc=False):
    """What routing reads of a header or parent header; other keys stay in the raw bytes.

    ``session`` may be null or missing: xeus-python sends "", some kernels nothing.
    """

    msg_id: MsgId
    msg_type: str
    session: str | None = None
    subshell_id: str | None = None


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The header of a request, as the parent of what answers it."""

    header: Header
    raw_header: bytes


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message on one channel.

    ``header`` and ``parent`` are decoded; ``raw_*`` are the JSON frames as they came and go.
    ``signature`` was made over the four raw frames by ``signed_by`` (a ``wire.Signer``), and is
    used again where the next hop has the same key. ``topic`` is the first iopub frame.
    """

    header: Header
    parent: Header | None
    raw_header: bytes
    raw_parent: bytes
    raw_metadata: Part
    raw_content: Part
    buffers: tuple[Part, ...] = ()
    topic: bytes = b""
    signature: bytes = b""
    signed_by: object | None = None

    @property
    def msg_id(self) -> MsgId:
        return self.header.msg_id

    @property
    def msg_type(self) -> str:
        return self.header.msg_type

    @property
    def origin(self) -> Origin:
        """This message as a parent."""
        return Origin(self.header, self.raw_header)

    @property
    def parent_origin(self) -> Origin | None:
        """The parent of this message, as a parent of others."""
        return Origin(self.parent, self.raw_parent) if self.parent else None

    def content(self) -> dict[str, Any]:
        """Decode the content. Raises one of ``JSON_ERRORS`` where it is not a JSON object."""
        return msgspec.json.decode(self.raw_content, type=dict[str, Any])

    def metadata(self) -> dict[str, Any]:
        """Decode the metadata; JSON null (xeus-python) counts as empty."""
        return msgspec.json.decode(self.raw_metadata, type=dict[str, Any] | None) or {}

    def content_as(self, decoder: msgspec.json.Decoder[T]) -> T | None:
        """Decode the content with a typed decoder, or return None where it does not fit."""
        try:
            return decoder.decode(self.raw_content)
        except JSON_ERRORS:
            return None
