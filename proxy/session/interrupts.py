"""Interrupts on their way: how the kernel takes them, held back, not answered yet.

Theory: an interrupt is a signal or a message, as the kernelspec says (Jupyter messaging, "Kernel
interrupt"), but for kernels that a signal would end. Some kernels answer nothing on control
(IRkernel), so an interrupt by message is answered here after a while.

JupyterLab interrupts a kernel 0 to 8 ms before it shuts it down (4.6). For it alone that is a
courtesy; with others on the kernel, it would end their cells and then merely detach. So an
interrupt of a cell that is another client's is held for ``HOLD_SECONDS``, and is dropped when its
sender's shutdown_request follows.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from proxy.message import ClientId
from proxy.session.events import ClientSent
from proxy.session.requests import Request
from proxy.session.shell_queue import Execution

TIMER = "interrupt "
"""What the keys of its timers begin with."""
HOLD_SECONDS = 0.1
REPLY_SECONDS = 5.0


class Interrupts:
    """Interrupts by the timers that they wait for."""

    def __init__(self) -> None:
        self.mode = "signal"
        """ "signal" or "message": what the kernelspec says."""
        self._held: dict[str, tuple[ClientSent, Execution]] = {}
        self._unanswered: dict[str, Request] = {}
        self._count = 0

    def holds(self, client: ClientId, target: Execution) -> bool:
        """Whether one of this client is kept back for this cell already."""
        return any(event.client == client and aim is target for event, aim in self._held.values())

    def hold(self, event: ClientSent, target: Execution) -> str:
        """Keep one back, meant for a cell. Returns the key of a timer of ``HOLD_SECONDS``."""
        key = self._new_key()
        self._held[key] = (event, target)
        return key

    def release(self, key: str) -> tuple[ClientSent, Execution] | None:
        """The timer ran out: the one that was held and its cell, if it still is."""
        return self._held.pop(key, None)

    def withdraw(self, client: ClientId) -> list[ClientSent]:
        """A client's shutdown follows: the ones of its that were held."""
        mine = [key for key, (event, _) in self._held.items() if event.client == client]
        return [self._held.pop(key)[0] for key in mine]

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
        held = [event for event, _ in self._held.values()]
        self._held.clear()
        self._unanswered.clear()
        return held

    def _new_key(self) -> str:
        self._count += 1
        return f"{TIMER}{self._count}"
