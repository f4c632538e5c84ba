"""Prompts: input_request goes to the frontend whose cell runs, and its answer back.

Theory (Jupyter messaging, "Messages on the stdin channel"): a cell that calls ``input()`` makes
the kernel send input_request with the execute_request as parent, and wait. Exactly one answer may
reach the kernel. A prompt stays open until it is answered, or the cell is done without it (it was
interrupted, the kernel died). While its frontend is away, the mailbox keeps it; a frontend that
comes back on a new connection gets it again, since it may have been lost with the old one. If it
was not, jupyter_client refuses a message whose signature it has seen ("Duplicate Signature"): so
the same prompt is sent with a blank more at the end of its metadata.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session.commands import Command, ToClient


class Prompts:
    """The open prompts, by the request (a cell) that asks."""

    def __init__(self) -> None:
        self._open: dict[MsgId, tuple[ClientId, Message]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, client: ClientId, message: Message) -> list[Command]:
        """The kernel asks this client for a line of input."""
        if message.parent is not None:
            self._open[message.parent.msg_id] = (client, message)
        return [ToClient(client, Channel.STDIN, message)]

    def answer(self, client: ClientId) -> bool:
        """The client answers. Whether it was asked: an answer nobody waits for is dropped."""
        for parent, (asked, _) in self._open.items():
            if asked == client:
                del self._open[parent]
                return True
        return False

    def ask_again(self, client: ClientId, is_kept: Callable[[Message], bool]) -> list[Command]:
        """The client is back: send it what it has open, in the order in which it was asked.

        What the mailbox keeps (``is_kept``) is not sent from here as well.
        """
        commands: list[Command] = []
        for parent, (asked, message) in self._open.items():
            if asked == client and not is_kept(message):
                metadata = bytes(message.raw_metadata) + b" "
                again = msgspec.structs.replace(message, raw_metadata=metadata, signed_by=None)
                self._open[parent] = (client, again)
                commands.append(ToClient(client, Channel.STDIN, again))
        return commands

    def close(self, parent: MsgId) -> Message | None:
        """The asking request is done. Returns the prompt that was left unanswered."""
        _, message = self._open.pop(parent, (None, None))
        return message

    def close_all(self) -> list[Message]:
        """The kernel is gone. Returns the prompts that were left unanswered."""
        left = [message for _, message in self._open.values()]
        self._open.clear()
        return left
