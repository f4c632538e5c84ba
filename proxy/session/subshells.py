"""Subshells: many for the clients, few in the kernel.

Theory (JEP 91): a subshell is a thread of the kernel that takes shell messages of its own; a
client asks for one on control and puts its id into its headers. JupyterLab asks for one for each
comm target in each window and deletes none of them when a window closes (4.6: eighteen threads
seen). And ipykernel 7.4 sends a comm's messages to the subshell that last *published* on that
comm, whatever the header says: where that one was deleted, the widget is dead for everybody.

So what a client has is virtual. The ids are the kernel's own, since headers are never rewritten:

* A client that asks for a subshell is given a new one of the kernel while there are fewer than
  ``MAX_REAL``, or one that nobody uses; past that, it shares the one with the fewest users.
* What a client deletes, or has when it is gone, is taken from it. The kernel's is deleted when
  nobody uses it, nothing runs on it and no open comm last published on it; until then it is kept,
  for the next one.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from proxy.message import ClientId, MsgId

MAX_REAL = 8
"""Subshells of the kernel: three threads or so each."""


class Deleted(Enum):
    """What became of a client's wish to delete a subshell."""

    BY_KERNEL = "the kernel is to be asked: it knows this one, and nobody else uses it"
    HERE = "it is not the client's any more; the kernel keeps it"
    UNKNOWN = "it is not this client's"


class _Real:
    """A subshell of the kernel."""

    __slots__ = ("comms", "users")

    def __init__(self) -> None:
        self.users: list[ClientId] = []
        """One may be in it twice."""
        self.comms: set[str] = set()
        """The open comms that last published on it."""


class Subshells:
    """The kernel's subshells by id, and who uses each."""

    def __init__(self, is_busy: Callable[[str], bool] = lambda subshell_id: False) -> None:
        """``is_busy`` is whether something runs or waits on a subshell: ipykernel would wait for
        it in the middle of its shell and control channels, were that one deleted."""
        self._is_busy = is_busy
        self._real: dict[str, _Real] = {}
        self._last_on: dict[str, str] = {}
        """The subshell that a comm last published on, by comm_id."""
        self._asked: dict[tuple[ClientId, MsgId], bool] = {}
        """Who asked the kernel for one and has no answer yet; whether that one still wants it."""

    def __len__(self) -> int:
        return len(self._real)

    def __contains__(self, subshell_id: str) -> bool:
        return subshell_id in self._real

    @property
    def all_used(self) -> bool:
        """Whether the kernel's own list is the clients'."""
        return all(real.users for real in self._real.values())

    def used(self) -> list[str]:
        """The ids of the subshells that clients have."""
        return [subshell_id for subshell_id, real in self._real.items() if real.users]

    def is_unused(self, subshell_id: str) -> bool:
        """Whether this one is kept, and no client has it."""
        real = self._real.get(subshell_id)
        return real is not None and not real.users

    # Clients

    @property
    def must_wait(self) -> bool:
        """Whether who asks for one can be given none before the kernel has answered others."""
        return not self._real and len(self._asked) >= MAX_REAL

    def create(self, client: ClientId, msg_id: MsgId) -> str | None:
        """A client asks for one. Returns which it has now; None: the kernel is to be asked."""
        chosen = next((i for i, real in self._real.items() if not real.users), None)
        if chosen is None:
            if len(self._real) + len(self._asked) < MAX_REAL:
                self._asked[client, msg_id] = True
                return None
            chosen = self._least_used(client)
        self._real[chosen].users.append(client)
        return chosen

    def created(self, client: ClientId, msg_id: MsgId, subshell_id: str | None) -> bool:
        """The kernel answered who asked for one. Returns whether nobody wants it any more."""
        wanted = self._asked.pop((client, msg_id), None)
        if wanted is None or subshell_id is None:
            return False
        real = self._real.setdefault(subshell_id, _Real())
        if wanted:
            real.users.append(client)
        return self._forgotten(subshell_id)

    def delete(self, client: ClientId, subshell_id: str) -> Deleted:
        """A client wants one deleted."""
        real = self._real.get(subshell_id)
        if real is None:
            return Deleted.BY_KERNEL  # it knows what to say
        if client not in real.users:
            return Deleted.UNKNOWN
        real.users.remove(client)
        return Deleted.BY_KERNEL if self._forgotten(subshell_id) else Deleted.HERE

    def left(self, client: ClientId) -> list[str]:
        """A client is gone. Returns what the kernel can delete."""
        for asked in self._asked:
            self._asked[asked] &= asked[0] != client
        for real in self._real.values():
            real.users = [user for user in real.users if user != client]
        return [subshell_id for subshell_id in tuple(self._real) if self._forgotten(subshell_id)]

    # From one kmux to the next

    def lent(self) -> Iterator[tuple[str, list[ClientId], set[str]]]:
        """Each subshell, who uses it, and the open comms that last published on it."""
        for subshell_id, real in self._real.items():
            yield subshell_id, real.users, real.comms

    def resumed(self, subshell_id: str, users: list[ClientId], comms: list[str]) -> None:
        """The kernel has this one from before kmux was restarted."""
        real = self._real[subshell_id] = _Real()
        real.users += users
        real.comms |= set(comms)
        self._last_on.update(dict.fromkeys(comms, subshell_id))

    # The kernel

    def published(self, comm_id: str, subshell_id: str | None) -> list[str]:
        """The kernel published on a comm. Returns what it can delete now."""
        before = self._last_on.get(comm_id)
        if before == subshell_id:
            return []
        freed = self.closed(comm_id)
        if subshell_id is not None and subshell_id in self._real:
            self._last_on[comm_id] = subshell_id
            self._real[subshell_id].comms.add(comm_id)
        return freed

    def closed(self, comm_id: str) -> list[str]:
        """A comm is closed. Returns what the kernel can delete now."""
        subshell_id = self._last_on.pop(comm_id, None)
        if subshell_id is None:
            return []
        self._real[subshell_id].comms.discard(comm_id)
        return [subshell_id] if self._forgotten(subshell_id) else []

    def clear(self) -> None:
        """The kernel is gone, with its subshells."""
        self._real.clear()
        self._last_on.clear()
        self._asked.clear()

    def _least_used(self, client: ClientId) -> str:
        """The one to share: rather not one that the client has already."""

        def reluctance(subshell_id: str) -> tuple[bool, int]:
            users = self._real[subshell_id].users
            return client in users, len(users)

        return min(self._real, key=reluctance)

    def settled(self, subshell_id: str) -> bool:
        """Something on it is done. Returns whether the kernel can delete it now."""
        return subshell_id in self._real and self._forgotten(subshell_id)

    def _forgotten(self, subshell_id: str) -> bool:
        """Forget one that nobody uses, and no comm, and on which nothing runs. Returns whether."""
        real = self._real[subshell_id]
        if real.users or real.comms or self._is_busy(subshell_id):
            return False
        del self._real[subshell_id]
        return True
