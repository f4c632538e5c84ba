"""Prompts: input_request goes to the frontend whose cell runs, and its answer back.

Theory (Jupyter messaging, "Messages on the stdin channel"): a cell that calls ``input()`` makes
the kernel send input_request with the execute_request as parent, and wait. Exactly one answer may
reach the kernel. A prompt stays open until it is answered, or the cell is done without it (it was
interrupted, the kernel died). While its frontend is away, the mailbox keeps it; a frontend that
comes back on a new connection gets it again, since it may have been lost with the old one. If it
was not, jupyter_client refuses a message whose signature it has seen ("Duplicate Signature"): so
the same prompt is sent with a blank more at the end of its metadata.

By policy others may answer for a frontend that is away or gone: then they are asked as well, and
whoever attaches later; the first answer counts. Who was asked in vain and answers later, answers
nothing: such an answer is not taken for one to the next prompt.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from proxy.message import Channel, ClientId, Message, MsgId
from proxy.session.commands import Command, ToClient


class _Prompt:
    """An open input_request."""

    __slots__ = ("asked", "client", "for_all", "message")

    def __init__(self, client: ClientId, message: Message) -> None:
        self.client = client
        self.message = message
        self.asked = {client}
        self.for_all = False
        """Whether everybody may answer."""


class Prompts:
    """The open prompts, by the request (a cell) that asks."""

    def __init__(self) -> None:
        self._open: dict[MsgId, _Prompt] = {}
        self._in_vain: Counter[ClientId] = Counter()
        """How many prompts of others a client was shown that somebody else has answered."""

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, client: ClientId, message: Message) -> list[Command]:
        """The kernel asks this client for a line of input."""
        parent = message.parent.msg_id if message.parent is not None else message.msg_id
        self._open[parent] = _Prompt(client, message)
        return [ToClient(client, Channel.STDIN, message)]

    def answer(self, client: ClientId, asked: MsgId | None) -> Message | None:
        """The client answers. Returns the prompt, or None: nobody waits for this answer.

        ``asked`` is the input_request that it answers, where it says so (jupyter_client does not:
        then answers are taken to come in the order of the prompts).
        """
        if asked is None and self._in_vain[client]:
            self._in_vain[client] -= 1
            return None
        for parent, prompt in self._open.items():
            may = prompt.for_all or prompt.client == client
            if may and asked in (None, prompt.message.msg_id):
                del self._open[parent]
                self._in_vain.update(prompt.asked - {client, prompt.client})
                return prompt.message
        return None

    def open(self) -> list[tuple[ClientId, Message]]:
        """The open prompts, and whose cells ask."""
        return [(prompt.client, prompt.message) for prompt in self._open.values()]

    def of(self, client: ClientId) -> list[MsgId]:
        """The requests (cells) of this client that ask."""
        return [parent for parent, prompt in self._open.items() if prompt.client == client]

    def ask_all(self, parent: MsgId, others: list[ClientId]) -> list[Command]:
        """Its client is away: ask these others as well."""
        prompt = self._open[parent]
        prompt.for_all = True
        new = [client for client in others if client not in prompt.asked]
        prompt.asked.update(new)
        return [ToClient(client, Channel.STDIN, prompt.message) for client in new]

    def ask_again(self, client: ClientId, is_kept: Callable[[Message], bool]) -> list[Command]:
        """The client is there, or back: ask it what is open for it, in the order of the prompts.

        What the mailbox keeps (``is_kept``) is not sent from here as well.
        """
        commands: list[Command] = []
        self._in_vain.pop(client, None)
        for prompt in self._open.values():
            message = prompt.message
            if not (prompt.for_all or prompt.client == client) or is_kept(message):
                continue
            if client in prompt.asked:
                metadata = bytes(message.raw_metadata) + b" "
                message = msgspec.structs.replace(message, raw_metadata=metadata, signed_by=None)
                prompt.message = message
            prompt.asked.add(client)
            commands.append(ToClient(client, Channel.STDIN, message))
        return commands

    def forget(self, client: ClientId) -> None:
        """The client is gone."""
        self._in_vain.pop(client, None)

    def close(self, parent: MsgId) -> Message | None:
        """The asking request is done. Returns the prompt that was left unanswered."""
        prompt = self._open.pop(parent, None)
        return prompt.message if prompt is not None else None

    def close_all(self) -> list[Message]:
        """The kernel is gone. Returns the prompts that were left unanswered."""
        left = [prompt.message for prompt in self._open.values()]
        self._open.clear()
        return left
