"""Values as the record keeps them: small text in place, all else in the blob store.

Automerge keeps every value that a key ever had, and a value of a megabyte costs it 14 ms; so what
is long, and all that is binary, is a blob, and the document has its name only.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

import msgspec

from proxy.message import Part

INLINE_BYTES = 8 * 1024
"""Text from here on is a blob (a setting)."""

Encoding = Literal["utf-8", "json", "base64", "base64+newline", "binary"]
"""What a blob's bytes stand for: a text, JSON, or (binary data in) a text in base64, with the
newline at its end that IPython's encoder leaves there."""

TEXT, JSON, BINARY = "text/plain", "application/json", "application/octet-stream"

_text_decoder = msgspec.json.Decoder(str)


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says of a blob."""

    blob: str
    """The SHA-256 of its bytes, in hexadecimal."""
    size: int
    media_type: str
    encoding: Encoding


@dataclass(slots=True, eq=False)
class Large:
    """A value that is in the blob store, or will be when the record is written next."""

    media_type: str
    encoding: Encoding
    size: int
    part: Part | None = None
    """Its bytes, until they are stored."""
    sha256: str = ""
    """Its name, once it is stored."""

    @property
    def blob(self) -> Blob:
        """What the document says of it."""
        assert self.sha256, "it is not stored yet"
        return Blob(
            blob=self.sha256, size=self.size, media_type=self.media_type, encoding=self.encoding
        )

    @classmethod
    def of(cls, blob: Blob) -> Large:
        """One that is stored already."""
        return cls(blob.media_type, blob.encoding, blob.size, sha256=blob.blob)


@dataclass(slots=True, frozen=True)
class Json:
    """A JSON value, as its text."""

    text: str


Value = str | Json | Large
"""A text, or a JSON value that is no string, or either of them in the blob store."""


def text_value(text: str, limit: int = INLINE_BYTES, media_type: str = TEXT) -> str | Large:
    """Keep a text in place, or as a blob where it is long."""
    if len(text) < limit and (text.isascii() or len(text.encode("utf-8", "replace")) < limit):
        return text
    raw = text.encode("utf-8", "replace")  # lone surrogates are no text
    return Large(media_type, "utf-8", len(raw), raw)


def json_value(raw: Part, limit: int = INLINE_BYTES, media_type: str = JSON) -> Json | Large:
    """Keep JSON in place, or as a blob where it is long."""
    if len(raw) < limit:
        return Json(bytes(raw).decode("utf-8", "replace"))
    return Large(media_type, "json", len(raw), bytes(raw))  # msgspec.Raw is none, whatever it says


def media_value(media_type: str, raw: Part, limit: int = INLINE_BYTES) -> Value:
    """Keep one entry of a mime bundle (``raw`` is its JSON): pictures as their bytes."""
    try:
        text = _text_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return json_value(raw, limit, media_type)
    if is_binary(media_type):
        bare = text.removesuffix("\n")
        try:
            data = base64.b64decode(bare, validate=True)
        except (binascii.Error, ValueError):
            return text_value(text, limit, media_type)
        if base64.b64encode(data).decode() == bare:
            encoding: Encoding = "base64" if bare == text else "base64+newline"
            return Large(media_type, encoding, len(data), data)
    return text_value(text, limit, media_type)


def is_binary(media_type: str) -> bool:
    """Whether a mime bundle has this type in base64 (Jupyter messaging, "display_data")."""
    kind, _, subtype = media_type.partition("/")
    if kind in ("image", "audio", "video", "font"):
        return not subtype.startswith("svg")
    return media_type in ("application/pdf", BINARY)


def restored(data: bytes, encoding: Encoding) -> str | Json:
    """Return the value that a blob's bytes stand for."""
    match encoding:
        case "utf-8":
            return data.decode()
        case "json":
            return Json(data.decode("utf-8", "replace"))
        case "base64":
            return base64.b64encode(data).decode()
        case "base64+newline":
            return base64.b64encode(data).decode() + "\n"
    raise ValueError("binary data is no value of JSON")
