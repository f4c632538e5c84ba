"""Values as the record keeps them: small text in place, all else in the blob store.

Automerge keeps every value that a key ever had, and a value of a megabyte costs it 14 ms; so what
is long, and all that is binary, is a blob, and the document has its name only.
"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from typing import Literal

import msgspec

from proxy.message import Part

INLINE_BYTES = 8 * 1024
"""Text from here on is a blob (a setting)."""
PIECE_BYTES = 256 * 1024
"""Base64 that is decoded at once: 1 ms, in which nothing else happens. What is longer is decoded
where it is stored, in a worker thread."""

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
    is_packed: bool = False
    """Whether ``part`` is a mime bundle's JSON still, and it is not known yet what is in it."""

    def unpack(self) -> None:
        """Find out what is in it. That takes its time: called in the thread that stores it."""
        if self.is_packed:
            assert self.part is not None
            self.encoding, self.part = _unpacked(self.part)
            self.size, self.is_packed = len(self.part), False

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
    if is_binary(media_type):
        if len(raw) >= max(limit, PIECE_BYTES):
            return Large(media_type, "json", len(raw), memoryview(raw), is_packed=True)
        encoding, data = _unpacked(raw)
        if encoding in ("base64", "base64+newline"):
            return Large(media_type, encoding, len(data), data)
    try:
        text = _text_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return json_value(bytes(raw), limit, media_type)
    return text_value(text, limit, media_type)


def _unpacked(raw: Part) -> tuple[Encoding, Part]:
    """Return what the JSON of a picture is, and its bytes: of base64 those that it stands for."""
    view = memoryview(raw)
    text: Part = view[1:-1]
    data = _decoded(text) if bytes(view[:1]) == b'"' else None
    if data is None:  # escapes, or no text in base64
        try:
            text = _text_decoder.decode(raw).encode("utf-8", "replace")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return "json", bytes(raw)
        data = _decoded(text.removesuffix(b"\n"))
    if data is None:
        return "utf-8", text
    return ("base64+newline" if bytes(text[-1:]) == b"\n" else "base64"), data


def _decoded(text: Part) -> memoryview | None:
    """Return what base64 stands for; None where an encoder would have written something else."""
    if len(text) % 4:
        return None
    data, end = bytearray(len(text) // 4 * 3), 0
    some = b""
    for start in range(0, len(text), PIECE_BYTES):
        if end < start // 4 * 3:
            return None  # it was padded, and goes on
        if start:
            time.sleep(0)  # let others have the interpreter
        try:
            some = binascii.a2b_base64(text[start : start + PIECE_BYTES], strict_mode=True)
        except (binascii.Error, ValueError):
            return None
        data[end : end + len(some)] = some
        end += len(some)
    last = some[(len(some) - 1) // 3 * 3 :]
    if binascii.b2a_base64(last, newline=False) != bytes(text[len(text) - 4 :]):
        return None  # bits that stand for nothing are not zero
    return memoryview(data)[:end]


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
