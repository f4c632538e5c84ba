"""Who is attached, who is away and may come back, and who is gone.

Theory: a frontend says goodbye to nobody: its connections close, because it was closed, because a
laptop sleeps, because a server restarts. One with an identity of its own (``comes_back``) may be
heard again under it, so it is *away*: what it has on the kernel waits for it, for
``Policy.away_seconds``. One that is away for longer, or cannot come back, is *gone*: what it had
is let go of.

    attached --> away --> gone
       ^          |         ^
       +----------+         +-- from anywhere: it cannot come back, or said that it leaves

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.message import ClientId, comes_back

TIMER = "away"
MAX_AWAY = 1000
"""Clients that are away; of more, the one that left first counts as gone."""
MAX_GONE = 1000
"""Clients of which it is remembered that they are gone; what still comes for them is dropped."""


class Clients:
    """The clients of one kernel, by id, with the time since when they are what they are."""

    def __init__(self, away_seconds: float) -> None:
        self.attached: dict[ClientId, float] = {}
        self._away: dict[ClientId, float] = {}  # in the order in which they left
        self._leaving: set[ClientId] = set()
        self._gone: dict[ClientId, None] = {}  # the latest
        self._away_seconds = away_seconds

    def returned(self, client: ClientId, at: float) -> None:
        """A client was heard on a new connection."""
        self._away.pop(client, None)
        self._gone.pop(client, None)
        self._leaving.discard(client)
        self.attached.setdefault(client, at)

    def resumed(self, client: ClientId, since: float) -> None:
        """A client is away since then: it was here before kmux was restarted."""
        self._away[client] = since

    def may_come_back(self, at: float) -> Iterator[tuple[ClientId, float]]:
        """Who is away, or would be if kmux ended now; who left first comes first."""
        yield from self._away.items()
        for client in self.attached:
            if comes_back(client) and client not in self._leaving:
                yield client, at

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
            return self._go([client])
        self._away[client] = at
        return self._go([next(iter(self._away))] if len(self._away) > MAX_AWAY else [])

    def overdue(self, at: float) -> list[ClientId]:
        """Time passed. Returns who has been away for too long, and is gone."""
        return self._go([c for c, at_ in self._away.items() if at - at_ >= self._away_seconds])

    def _go(self, gone: list[ClientId]) -> list[ClientId]:
        for client in gone:
            self._away.pop(client, None)
            self._gone[client] = None
            if len(self._gone) > MAX_GONE:
                del self._gone[next(iter(self._gone))]
        return gone

    def next_overdue(self, at: float) -> float | None:
        """In how many seconds the next one is gone; None where nobody is away."""
        left = next(iter(self._away.values()), None)
        return None if left is None else max(0.0, left + self._away_seconds - at)

    def is_away(self, client: ClientId) -> bool:
        return client in self._away

    def is_gone(self, client: ClientId) -> bool:
        """Whether this client was here and will not come back, as far as is remembered."""
        return client in self._gone

    def others_than(self, client: ClientId) -> bool:
        """Whether anybody else is attached. Servers' passing sockets are nobody."""
        return any(other != client and comes_back(other) for other in self.attached)
