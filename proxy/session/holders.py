"""Who holds a comm, and so whose comm_close the kernel is to hear.

Theory: a frontend that does not know a comm's target answers comm_open with comm_close, as the
protocol tells it to ("Opening a Comm"): qtconsole does so for every widget. The kernel then
forgets the comm, tells nobody, and the widget is dead for all (jupyter_client#263, qtconsole#374).
So a comm_close detaches its sender, and the kernel hears of it

* from the client that opened the comm,
* from the last client that holds it. A client holds a comm that it was shown (it was attached when
  the kernel opened it) or that it used (it sent on it, or asked for its state), until it closes it
  or leaves.

A close that follows the opening within ``REFLEX_SECONDS``, from a client that never used the
comm, is no wish of a person but such an answer: it never counts.

When a client is gone, the comms are orphans that it opened and nobody else holds, and those that
somebody wanted closed and only it still held. What the kernel opened and nobody closed stays,
however many clients leave: it is there for who comes next.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import ClientId

REFLEX_SECONDS = 2.0


class _Held:
    """One comm's clients."""

    __slots__ = ("at", "closed_by", "is_unwanted", "opener", "used_by")

    def __init__(self, opener: ClientId | None, at: float) -> None:
        self.opener = opener
        self.at = at
        self.used_by: set[ClientId] = set() if opener is None else {opener}
        self.closed_by: set[ClientId] = set()
        self.is_unwanted = False
        """Whether somebody meant to close it, and it was held by others."""


class Holders:
    """The clients that are attached, and the comms that they hold."""

    def __init__(self) -> None:
        self._attached: dict[ClientId, float] = {}
        self._away: set[ClientId] = set()
        self._comms: dict[str, _Held] = {}
        self._is_news = False

    def __len__(self) -> int:
        return len(self._comms)

    def attached(self, client: ClientId, at: float) -> None:
        """A client is there. One that comes back holds what it held."""
        self._attached.setdefault(client, at)
        self._away.discard(client)

    def away(self, client: ClientId) -> None:
        """A client may come back. Until it does it holds what it used, not what it was shown.

        Each page of JupyterLab that was closed is such a client.
        """
        self._away.add(client)

    def left(self, client: ClientId) -> list[str]:
        """A client is gone for good. Returns the comms that are orphans by that."""
        self._attached.pop(client, None)
        self._away.discard(client)
        orphans = []
        self._is_news = True
        for comm_id, held in self._comms.items():
            held.used_by.discard(client)
            held.closed_by.discard(client)
            if (held.opener == client or held.is_unwanted) and not self._is_held(held):
                orphans.append(comm_id)
        return orphans

    def opened(self, comm_id: str, opener: ClientId | None, at: float) -> None:
        """A comm was opened, by a client or (None) by the kernel: the attached see only those."""
        self._comms[comm_id] = _Held(opener, at)
        self._is_news = True

    def is_kernels(self, comm_id: str) -> bool:
        """Whether the kernel opened this comm."""
        held = self._comms.get(comm_id)
        return held is not None and held.opener is None

    def used(self, comm_id: str, client: ClientId) -> None:
        """A client sent on a comm, or asked for its state."""
        held = self._comms.get(comm_id)
        if held is not None:
            self._is_news |= client not in held.used_by
            held.used_by.add(client)
            held.closed_by.discard(client)

    def closes(self, comm_id: str, client: ClientId, at: float) -> bool:
        """A client closes a comm. Returns whether the kernel is to hear of it."""
        held = self._comms.get(comm_id)
        if held is None:
            return True  # whatever it is, the kernel knows
        used = client in held.used_by
        self._is_news |= used
        seen = max(held.at, self._attached.get(client, at))
        held.used_by.discard(client)
        held.closed_by.add(client)
        if client == held.opener:
            return True
        if not used and at - seen < REFLEX_SECONDS:
            return False
        held.is_unwanted = self._is_held(held)
        return not held.is_unwanted

    def closed(self, comm_id: str) -> None:
        """The kernel's end of a comm is gone."""
        self._comms.pop(comm_id, None)

    def news(self) -> dict[str, tuple[ClientId, ...]] | None:
        """Return who uses each comm; None where that is as it was when it was last asked for."""
        if not self._is_news:
            return None
        self._is_news = False
        return {comm_id: tuple(sorted(held.used_by)) for comm_id, held in self._comms.items()}

    def clear(self) -> None:
        """The kernel is gone, and its ends of all comms. Clients stay."""
        self._comms.clear()

    def _is_held(self, held: _Held) -> bool:
        if held.used_by or held.opener is not None:
            return bool(held.used_by)  # what a client opens is shown to nobody
        return any(
            since <= held.at and client not in held.closed_by and client not in self._away
            for client, since in self._attached.items()
        )
