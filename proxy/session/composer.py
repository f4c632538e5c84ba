"""Messages that kmux makes up, indistinguishable from the kernel's own.

They carry the kernel's ``header.session`` (JupyterLab drops queued messages of another session)
and username, a fresh msg_id, the asker's header, byte for byte, as parent, and on iopub a topic of
the kernel's own form (ipykernel: ``kernel.<its id>.status``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from proxy.message import JSON_ERRORS, Header, Message, MsgId, Origin

PROTOCOL_VERSION = "5.4"
"""Jupyter messaging 5.4 is what is implemented here; a kernel's own version is used once known."""

_NO_PARENT = b"{}"


class _KernelHeader(msgspec.Struct, frozen=True):
    """What a made-up header copies from the kernel's own."""

    session: str | None = None
    username: str | None = None
    version: str | None = None


_kernel_header_decoder = msgspec.json.Decoder(_KernelHeader)


def timestamp(at: float) -> str:
    """Return a time as kernels write it."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


class Composer:
    """Make messages in the name of the kernel. Ids are ``prefix`` and a counter."""

    def __init__(self, prefix: str, username: str = "kernel") -> None:
        self._prefix = prefix
        self._count = 0
        self._kernel_session: str | None = None
        self._username = username
        self._version = PROTOCOL_VERSION
        self._topic_prefix: bytes | None = None

    @property
    def kernel_session(self) -> str:
        """The kernel's ``header.session``; before it was heard of, one of our own."""
        return self._kernel_session or self._prefix

    @property
    def knows_topics(self) -> bool:
        """Whether the form of this kernel's topics is known."""
        return self._topic_prefix is not None

    @property
    def engine(self) -> str | None:
        """What an ipykernel calls itself in topics and in the metadata of its replies."""
        start, _, rest = (self._topic_prefix or b"").partition(b".")
        return rest.rstrip(b".").decode(errors="replace") if start == b"kernel" else None

    def learn_topics(self, status: Message) -> None:
        """Take the form of topics from a status message of the kernel."""
        self._topic_prefix = status.topic.removesuffix(b"status")

    def forget_topics(self) -> None:
        """Another kernel comes."""
        self._topic_prefix = None

    def learn(self, message: Message) -> None:
        """Take session, username and version from a message of the kernel."""
        session = message.header.session
        if session and session != self._kernel_session:
            try:
                header = _kernel_header_decoder.decode(message.raw_header)
            except JSON_ERRORS:
                return
            self._kernel_session = session
            self._username = header.username or ""
            self._version = header.version or PROTOCOL_VERSION

    def message(
        self,
        msg_type: str,
        content: dict[str, Any] | bytes,
        at: float,
        *,
        parent: Origin | None = None,
        metadata: dict[str, Any] | bytes = b"{}",
        topic: bytes = b"",
        subshell_id: str | None = None,
    ) -> Message:
        """Make a message. ``parent`` is the request that it answers; ``topic`` is iopub's."""
        self._count += 1
        msg_id = MsgId(f"{self._prefix}_{self._count}")
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "username": self._username,
            "session": self.kernel_session,
            "date": timestamp(at),
            "version": self._version,
        }
        if subshell_id is not None:
            header["subshell_id"] = subshell_id
        return Message(
            Header(msg_id, msg_type, self.kernel_session, subshell_id),
            parent.header if parent else None,
            msgspec.json.encode(header),
            parent.raw_header if parent else _NO_PARENT,
            metadata if isinstance(metadata, bytes) else msgspec.json.encode(metadata),
            content if isinstance(content, bytes) else msgspec.json.encode(content),
            topic=topic or self._topic(msg_type),
        )

    def _topic(self, msg_type: str) -> bytes:
        if self._topic_prefix is None:
            return f"kernel.{self.kernel_session}.{msg_type}".encode()
        return self._topic_prefix + msg_type.encode()

    def status(self, state: str, at: float, parent: Origin | None = None) -> Message:
        """Make an iopub status message."""
        return self.message("status", {"execution_state": state}, at, parent=parent)
