"""Prompts: input_request goes to the frontend whose cell runs, and its answer back.

Theory (Jupyter messaging, "Messages on the stdin channel"): a cell that calls ``input()`` makes
the kernel send input_request with the execute_request as parent, and wait. Exactly one answer may
reach the kernel. A prompt stays open until it is answered, or the cell is done without it (it was
interrupted, the kernel died). While its frontend is away, the mailbox keeps it; a frontend that
comes back on a new connection gets it again, since it may have been lost with the old one. If it
was not, jupyter_client refuses a message whose signature it has seen ("Duplicate Signature"): so
the same prompt is sent with a blank more at the end of its metadata.

By policy others may answer for a frontend that is away or gone: then they are asked as well, and
whoever attaches later; the first answer counts.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session.commands import Command, ToClient


class _Prompt:
    """An open input_request."""

    __slots__ = ("client", "for_all", "message")

    def __init__(self, client: ClientId, message: Message) -> None:
        self.client = client
        self.message = message
        self.for_all = False
        """Whether everybody may answer."""


class Prompts:
    """The open prompts, by the request (a cell) that asks."""

    def __init__(self) -> None:
        self._open: dict[MsgId, _Prompt] = {}

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, client: ClientId, message: Message) -> list[Command]:
        """The kernel asks this client for a line of input."""
        if message.parent is not None:
            self._open[message.parent.msg_id] = _Prompt(client, message)
        return [ToClient(client, Channel.STDIN, message)]

    def answer(self, client: ClientId, asked: MsgId | None) -> bool:
        """The client answers. Whether it was asked: an answer nobody waits for is dropped.

        ``asked`` is the input_request that it answers, where it says so (jupyter_client does not).
        """
        mine = [p for p, prompt in self._open.items() if prompt.for_all or prompt.client == client]
        exact = [parent for parent in mine if self._open[parent].message.msg_id == asked]
        for parent in exact or mine:
            del self._open[parent]
            return True
        return False

    def of(self, client: ClientId) -> list[MsgId]:
        """The requests (cells) of this client that ask."""
        return [parent for parent, prompt in self._open.items() if prompt.client == client]

    def ask_all(self, parent: MsgId, others: list[ClientId]) -> list[Command]:
        """Its client is away: ask these others as well."""
        prompt = self._open[parent]
        prompt.for_all = True
        message = prompt.message
        return [ToClient(c, Channel.STDIN, message) for c in others if c != prompt.client]

    def ask_newcomer(self, client: ClientId) -> list[Command]:
        """A client attached: ask it what everybody may answer."""
        return [
            ToClient(client, Channel.STDIN, prompt.message)
            for prompt in self._open.values()
            if prompt.for_all and prompt.client != client
        ]

    def waits_for(self, client: ClientId, message: Message) -> bool:
        """Whether it is this client that the kernel asked by this message."""
        return not any(
            p.message.msg_id == message.msg_id and p.client != client for p in self._open.values()
        )

    def ask_again(self, client: ClientId, is_kept: Callable[[Message], bool]) -> list[Command]:
        """The client is back: send it what it has open, in the order in which it was asked.

        What the mailbox keeps (``is_kept``) is not sent from here as well.
        """
        commands: list[Command] = []
        for prompt in self._open.values():
            message = prompt.message
            if prompt.client == client and not is_kept(message):
                metadata = bytes(message.raw_metadata) + b" "
                again = msgspec.structs.replace(message, raw_metadata=metadata, signed_by=None)
                prompt.message = again
                commands.append(ToClient(client, Channel.STDIN, again))
        return commands

    def close(self, parent: MsgId) -> Message | None:
        """The asking request is done. Returns the prompt that was left unanswered."""
        prompt = self._open.pop(parent, None)
        return prompt.message if prompt is not None else None

    def close_all(self) -> list[Message]:
        """The kernel is gone. Returns the prompts that were left unanswered."""
        left = [prompt.message for prompt in self._open.values()]
        self._open.clear()
        return left
