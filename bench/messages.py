"""Signed Jupyter messages, built without kmux's own code, so that they also test it.

Frames of one message here: ``<IDS|MSG>`` signature header parent_header metadata content.
A routing identity or an iopub topic goes ahead of them.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import secrets
from typing import Any

DELIMITER = b"<IDS|MSG>"
SIGNATURE, HEADER, PARENT, METADATA, CONTENT = 1, 2, 3, 4, 5
"""Where the frames of a message are, when the delimiter is frame 0."""

COMPLETE = {"code": "import num", "cursor_pos": 10}
"""Content of the request whose time is measured: a kernel answers it at once, and kmux does not."""
MESSAGE_BYTES = 600
"""What a typical message has in all: a few lines of output, or a line of code to complete."""


class Author:
    """Writes messages of one session, signed with one key."""

    def __init__(self, key: str) -> None:
        self.session = secrets.token_hex(16)
        self._mac = hmac.new(key.encode(), digestmod=hashlib.sha256)
        self._count = itertools.count(1)

    def message(
        self,
        msg_type: str,
        content: dict[str, Any] | bytes,
        parent: bytes = b"{}",
        metadata: bytes = b"{}",
    ) -> list[bytes]:
        """Return the frames of a new message. ``parent`` is the raw header that it answers."""
        header = (
            b'{"msg_id":"%s_%d","msg_type":"%s","username":"bench","session":"%s",'
            b'"date":"2025-01-01T00:00:00.000000Z","version":"5.4"}'
            % (
                self.session.encode(),
                next(self._count),
                msg_type.encode(),
                self.session.encode(),
            )
        )
        raw_content = content if isinstance(content, bytes) else json.dumps(content).encode()
        signature = self.sign(header, parent, metadata, raw_content)
        return [DELIMITER, signature, header, parent, metadata, raw_content]

    def request(self, msg_type: str, content: dict[str, Any]) -> list[bytes]:
        """Return a request of ``MESSAGE_BYTES``: its last key is padding, as code would be."""
        frames = self.message(msg_type, {**content, "padding": ""})
        missing = MESSAGE_BYTES - sum(map(len, frames))
        if missing <= 0:
            return frames
        return self.message(msg_type, {**content, "padding": "x" * missing})

    def sign(self, *parts: bytes) -> bytes:
        """Return the signature of header, parent header, metadata and content."""
        mac = self._mac.copy()
        mac.update(b"".join(parts))
        return mac.hexdigest().encode()

    def signed_rightly(self, frames: list[bytes]) -> bool:
        """Whether frames (delimiter first) carry this key's signature."""
        return self.sign(*frames[HEADER : CONTENT + 1]) == frames[SIGNATURE]


def id_of(header: bytes) -> bytes:
    """Return the msg_id of a header of ours, quoted, as it stands in a parent header.

    Kernels write parent headers anew, with other blanks; the id in its quotes stays.
    """
    start = header.index(b'"', len(b'{"msg_id":'))
    return header[start : header.index(b'"', start + 1) + 1]


_COUNTER = b'{"data":{"text/plain":"'
_COUNTER_DIGITS = 8


def numbered_outputs(author: Author, count: int, parent: bytes, topic: bytes) -> list[list[bytes]]:
    """Build ``count`` display_data messages of ``MESSAGE_BYTES``, numbered from 0, with topic."""

    def content(number: int, padding: bytes) -> bytes:
        return b'%s%08d%s"},"metadata":{},"transient":{}}' % (_COUNTER, number, padding)

    bare = author.message("display_data", content(0, b""), parent)
    padding = b"." * max(0, MESSAGE_BYTES - sum(map(len, bare)) - len(topic))
    return [
        [topic, *author.message("display_data", content(number, padding), parent)]
        for number in range(count)
    ]


def number_of(content: bytes) -> int | None:
    """Return the number of a numbered output, of the synthetic kernel's or of a cell's."""
    start = content.find(b'"text/plain":')
    if start < 0:
        return None
    start = content.index(b'"', start + len(b'"text/plain":')) + 1
    try:
        return int(content[start : start + _COUNTER_DIGITS])
    except ValueError:
        return None
