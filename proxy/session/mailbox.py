"""Messages for a frontend that is away: kept, and sent again when it is back.

Theory: a frontend that loses its connection (a laptop that sleeps, a server that restarts) comes
back with the same routing identity. What could not be handed to it meanwhile (replies, prompts)
waits here in order. The endpoint says that it is back by the first message that it sends. It may
say nothing, since it waits for just that: so it is tried when anybody connects, and by a timer.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from proxy.message import Channel, ClientId, Message, MsgId, comes_back
from proxy.session.commands import Command, Log, StartTimer, ToClient

RETRY_TIMER = "mailbox"
RETRY_SECONDS = 1.0
MAX_KEPT = 1000
"""Messages for all absent frontends together; the oldest goes first."""


class Mailbox:
    """What could not be delivered, by client, oldest first."""

    def __init__(self) -> None:
        self._kept: dict[ClientId, deque[tuple[Channel, Message]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def keep(self, client: ClientId, channel: Channel, message: Message) -> list[Command]:
        """Keep a message that could not be delivered, and try again later."""
        if not comes_back(client):
            return [_dropped(client, channel, message, "the frontend left for good")]
        first = self._count == 0
        self._kept.setdefault(client, deque()).append((channel, message))
        self._count += 1
        commands: list[Command] = []
        if self._count > MAX_KEPT:
            oldest = next(iter(self._kept))
            channel, message = self._kept[oldest].popleft()
            self._shrink(oldest, 1)
            commands.append(_dropped(oldest, channel, message, "too many messages are waiting"))
        if first:
            commands.append(StartTimer(RETRY_TIMER, RETRY_SECONDS))
        return commands

    def deliver(self, client: ClientId) -> list[Command]:
        """The client was heard: try all that waits for it."""
        kept = self._kept.pop(client, None)
        if kept is None:
            return []
        self._count -= len(kept)
        return [ToClient(client, channel, message) for channel, message in kept]

    def forget(self, client: ClientId) -> list[Command]:
        """The client is gone: drop what waits for it."""
        kept = self._kept.pop(client, ())
        self._count -= len(kept)
        return [_dropped(client, channel, m, "the frontend is gone") for channel, m in kept]

    def all_kept(self) -> Iterator[tuple[ClientId, Channel, Message]]:
        """All that is kept."""
        for client, kept in self._kept.items():
            for channel, message in kept:
                yield client, channel, message

    def holds(self, client: ClientId, message: Message) -> bool:
        """Whether this message waits for this client."""
        return any(kept is message for _, kept in self._kept.get(client, ()))

    def retry(self) -> list[Command]:
        """The timer ran out: try everything once. What fails comes back through :meth:`keep`."""
        return [command for client in tuple(self._kept) for command in self.deliver(client)]

    def withdraw(self, msg_id: MsgId) -> None:
        """A kept message has become pointless: a prompt whose cell was interrupted."""
        for client, kept in tuple(self._kept.items()):
            for entry in tuple(kept):
                if entry[1].msg_id == msg_id:
                    kept.remove(entry)
                    self._shrink(client, 1)

    def _shrink(self, client: ClientId, by: int) -> None:
        self._count -= by
        if not self._kept[client]:
            del self._kept[client]


def _dropped(client: ClientId, channel: Channel, message: Message, why: str) -> Log:
    values = {"client": client, "channel": channel, "msg_type": message.msg_type, "why": why}
    return Log("message.undeliverable", values, "warning")
