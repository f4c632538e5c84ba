"""Who is attached, who is away and may come back, and who is gone.

Theory: a frontend says goodbye to nobody: its connections close, because it was closed, because a
laptop sleeps, because a server restarts. One with an identity of its own (``comes_back``) may be
heard again under it, so it is *away*: what it has on the kernel waits for it, for
``Policy.away_seconds``. One that is away for longer, or cannot come back, is *gone*: what it had
is let go of.

    attached --> away --> gone (forgotten)
       ^          |         ^
       +----------+         +-- from anywhere: it cannot come back, or said that it leaves

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import ClientId, comes_back

TIMER = "away"
MAX_AWAY = 1000
"""Clients that are away; of more, the one that left first counts as gone."""


class Clients:
    """The clients of one kernel, by id, with the time since when they are what they are."""

    def __init__(self, away_seconds: float) -> None:
        self.attached: dict[ClientId, float] = {}
        self._away: dict[ClientId, float] = {}  # in the order in which they left
        self._leaving: set[ClientId] = set()
        self._away_seconds = away_seconds

    def returned(self, client: ClientId, at: float) -> None:
        """A client was heard on a new connection."""
        self._away.pop(client, None)
        self._leaving.discard(client)
        self.attached.setdefault(client, at)

    def leaving(self, client: ClientId) -> None:
        """A client says that it leaves; its connections are still to close."""
        if client in self.attached:
            self._leaving.add(client)

    def left(self, client: ClientId, at: float) -> list[ClientId]:
        """A client's last connection closed. Returns who is gone by that."""
        self.attached.pop(client, None)
        says_so = client in self._leaving
        self._leaving.discard(client)
        if says_so or not comes_back(client) or not self._away_seconds:
            return [client]
        self._away[client] = at
        if len(self._away) > MAX_AWAY:
            gone = next(iter(self._away))
            del self._away[gone]
            return [gone]
        return []

    def overdue(self, at: float) -> list[ClientId]:
        """Time passed. Returns who has been away for too long, and is gone."""
        gone = [c for c, left in self._away.items() if at - left >= self._away_seconds]
        for client in gone:
            del self._away[client]
        return gone

    def next_overdue(self, at: float) -> float | None:
        """In how many seconds the next one is gone; None where nobody is away."""
        left = next(iter(self._away.values()), None)
        return None if left is None else max(0.0, left + self._away_seconds - at)

    def is_away(self, client: ClientId) -> bool:
        return client in self._away

    def others_than(self, client: ClientId) -> bool:
        """Whether anybody else is attached."""
        return len(self.attached) > (client in self.attached)
