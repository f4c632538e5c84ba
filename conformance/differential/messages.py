"""Signed messages to and from frames, without kmux's own code: what is compared must not be
made, nor read, by what is tested.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DELIMITER = b"<IDS|MSG>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message that the client received. ``parent`` is ``{}`` where there is none."""

    channel: str
    topic: str
    """The first frame of an iopub message."""
    header: dict[str, Any]
    parent: dict[str, Any]
    metadata: Any
    content: Any
    buffers: tuple[bytes, ...]
    signed_rightly: bool

    @property
    def msg_type(self) -> str:
        return str(self.header.get("msg_type"))

    @property
    def state(self) -> str | None:
        """The execution_state of a status message."""
        return self.content.get("execution_state") if self.msg_type == "status" else None


class Signer:
    """The key of one connection file."""

    def __init__(self, key: str) -> None:
        self._mac = hmac.new(key.encode(), digestmod=hashlib.sha256)

    def encode(
        self, header: Any, metadata: Any, content: Any, buffers: Sequence[bytes]
    ) -> list[bytes]:
        """Return the frames of a message that has no parent."""
        parts = [to_json(header), b"{}", to_json(metadata), to_json(content)]
        return [DELIMITER, self._sign(parts), *parts, *buffers]

    def decode(self, channel: str, frames: list[bytes]) -> Heard:
        """Read a message. Raises ValueError for one that is none."""
        start = frames.index(DELIMITER)
        signature, *parts = frames[start + 1 : start + 6]
        header, parent, metadata, content = map(json.loads, parts)
        return Heard(
            channel=channel,
            topic=frames[0].decode("latin-1") if channel == "iopub" else "",
            header=header,
            parent=parent or {},
            metadata=metadata,
            content=content,
            buffers=tuple(frames[start + 6 :]),
            signed_rightly=hmac.compare_digest(signature, self._sign(parts)),
        )

    def _sign(self, parts: Sequence[bytes]) -> bytes:
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()


def to_json(value: Any) -> bytes:
    """Encode, with letters of all alphabets as they are. Bytes are left alone."""
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
