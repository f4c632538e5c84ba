"""Interrupts on their way: how the kernel takes them, held back, not answered yet.

Theory: an interrupt is a signal or a message, as the kernelspec says (Jupyter messaging, "Kernel
interrupt"), but for kernels that a signal would end. Some kernels answer nothing on control
(IRkernel), so an interrupt by message is answered here after a while.

JupyterLab interrupts a kernel 0 to 8 ms before it shuts it down (4.6). For it alone that is a
courtesy; with others on the kernel, it would end their cells and then merely detach. So an
interrupt of a cell that is another client's is held for ``HOLD_SECONDS``, and is dropped when its
sender's shutdown_request follows. So is one by SIGINT to a process that stands for the kernel
(``kmux shim``): of its sender, only the ports are known. A frontend whose ports are taken away has
ended that process, as jupyter_client does when it is to be quick.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.message import ClientId
from proxy.session.events import ClientSent
from proxy.session.requests import Request
from proxy.session.shell_queue import Execution

TIMER = "interrupt "
"""What the keys of its timers begin with."""
HOLD_SECONDS = 0.1
REPLY_SECONDS = 5.0

Held = ClientSent | bytes
"""A client's interrupt_request, or the ports of a frontend that has sent SIGINT."""


class Interrupts:
    """Interrupts by the timers that they wait for."""

    def __init__(self) -> None:
        self.mode = "signal"
        """ "signal" or "message": what the kernelspec says."""
        self._held: dict[str, tuple[Held, Execution]] = {}
        self._unanswered: dict[str, Request] = {}
        self._count = 0

    def holds(self, client: ClientId, target: Execution) -> bool:
        """Whether one of this client is kept back for this cell already."""
        return any(_of(held) == client and aim is target for held, aim in self._held.values())

    def hold(self, interrupt: Held, target: Execution) -> str:
        """Keep one back, meant for a cell. Returns the key of a timer of ``HOLD_SECONDS``."""
        key = self._new_key()
        self._held[key] = (interrupt, target)
        return key

    def release(self, key: str) -> tuple[Held, Execution] | None:
        """The timer ran out: the one that was held and its cell, if it still is."""
        return self._held.pop(key, None)

    def withdraw(self, client: ClientId) -> list[ClientSent]:
        """A client's shutdown follows: the ones of its that were held, to be answered."""
        return self._take(lambda held: held == client[0] or _of(held) == client)

    def close(self, endpoint: bytes) -> list[ClientSent]:
        """Ports were taken away: the ones of those there that were held, to be answered."""
        return self._take(lambda held: held == endpoint or _of(held)[:1] == (endpoint,))

    def sent(self, request: Request) -> str:
        """One went to the kernel as a message. Returns the key of a timer of ``REPLY_SECONDS``."""
        key = self._new_key()
        self._unanswered[key] = request
        return key

    def overdue(self, key: str) -> Request | None:
        """The timer ran out: the one that waits for an answer, if it still may."""
        return self._unanswered.pop(key, None)

    def clear(self) -> list[ClientSent]:
        """The kernel is gone. Returns those that were held."""
        self._unanswered.clear()
        return self._take(lambda held: True)

    def _take(self, which: Callable[[Held], bool]) -> list[ClientSent]:
        keys = [key for key, (held, _) in self._held.items() if which(held)]
        taken = [self._held.pop(key)[0] for key in keys]
        return [held for held in taken if not isinstance(held, bytes)]

    def _new_key(self) -> str:
        self._count += 1
        return f"{TIMER}{self._count}"


def _of(held: Held) -> tuple[bytes, ...]:
    """Return the client that an interrupt is of; nobody for a signal."""
    return () if isinstance(held, bytes) else held.client
