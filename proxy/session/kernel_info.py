"""kernel_info_reply from the record, at once, however busy the kernel is.

Theory: frontends block on kernel_info when they attach (jupyter_server does not open its
WebSocket before, JupyterLab holds its queue for 3 s), and a busy kernel answers when its cell is
done. The answer does not change while a kernel lives, so kmux asks once, at its start, and
answers everybody from what it heard. While a kernel restarts, the last one's word stands.

Everything that changes this state is in this file.
"""

from __future__ import annotations

import msgspec

from proxy.message import Message

INTERRUPT_BY_MESSAGE = frozenset({"Deno kernel", "xeus-python"})
"""Implementations that SIGINT ends although their kernelspec says "signal" (Deno 2.9.8,
xeus-python 0.19)."""


class _Info(msgspec.Struct, frozen=True):
    implementation: str | None = None
    supported_features: list[str] = []


_info_decoder = msgspec.json.Decoder(_Info)


class _Question(msgspec.Struct, frozen=True):
    """The content of a kernel_info_request: a JSON object, of which nothing is read."""


_question_decoder = msgspec.json.Decoder(_Question)


def is_question(message: Message) -> bool:
    """Whether a kernel_info_request is one; a kernel may leave others unanswered."""
    return message.content_as(_question_decoder) is not None


class KernelInfo:
    """What the kernel said of itself: ``content`` and ``metadata`` as they came, or None."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.metadata = b"{}"
        self.reply: Message | None = None
        """The whole of it."""
        self._implementation: str | None = None
        self.has_subshells = False
        """Whether this kernel knows subshells (JEP 91)."""

    @property
    def interrupts_by_message(self) -> bool:
        """Whether this kernel must not be sent SIGINT, whatever its kernelspec says."""
        return self._implementation in INTERRUPT_BY_MESSAGE

    def learn(self, message: Message) -> None:
        """Take the kernel's reply as the record."""
        self.reply = message
        self.content = bytes(message.raw_content)
        self.metadata = bytes(message.raw_metadata)
        info = message.content_as(_info_decoder)
        self._implementation = info.implementation if info else None
        self.has_subshells = info is not None and "kernel subshells" in info.supported_features
