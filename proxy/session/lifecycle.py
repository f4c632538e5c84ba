"""The kernel's life, as a table.

Theory: a kernel that was launched is STARTING until it has answered kernel_info and was heard on
iopub; only then frontends' requests are let through, in the order in which they came, so that no
first output is missed. It is then READY. Its process may end at any time.

    state        launched   proven   died, may restart   died, may not   restart    end
    LAUNCHING    STARTING   -        RESTARTING          DEAD            -          ENDING
    STARTING     -          READY    RESTARTING          DEAD            RESTARTING ENDING
    READY        -          -        RESTARTING          DEAD            RESTARTING ENDING
    RESTARTING   STARTING   -        RESTARTING          DEAD            -          ENDING
    DEAD         STARTING   -        -                   -               RESTARTING ENDING
    ENDING       -          -        ENDING              ENDING          -          -

("-": nothing changes.) Requests are held while LAUNCHING, STARTING and RESTARTING, answered with
an error while DEAD.

Everything that changes this state is in this file.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Literal

import msgspec

RESTART_LIMIT = 5
"""As jupyter_client's ``KernelRestarter.restart_limit``."""
RESTART_WINDOW_SECONDS = 60.0
"""Deaths that lie further apart than this are not a series."""
AWAY_SECONDS = 24 * 3600.0
"""A laptop that was closed overnight comes back."""


class State(StrEnum):
    LAUNCHING = "launching"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    DEAD = "dead"
    ENDING = "ending"


Happening = Literal["launched", "proven", "died", "died for good", "restart", "end"]

S = State
TRANSITIONS: dict[tuple[State, Happening], State] = {
    (S.LAUNCHING, "launched"): S.STARTING,
    (S.RESTARTING, "launched"): S.STARTING,
    (S.DEAD, "launched"): S.STARTING,
    (S.STARTING, "proven"): S.READY,
    **{(s, "died"): S.RESTARTING for s in (S.LAUNCHING, S.STARTING, S.READY, S.RESTARTING)},
    **{(s, "died for good"): S.DEAD for s in (S.LAUNCHING, S.STARTING, S.READY, S.RESTARTING)},
    **{(s, "restart"): S.RESTARTING for s in (S.STARTING, S.READY, S.DEAD)},
    **{(s, "end"): S.ENDING for s in State},
}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What is done when a kernel or a client is gone."""

    on_death: Literal["restart", "end"] = "restart"
    """When the kernel's process ends on its own, "restart": it is started again, up to
    ``restart_limit`` times in a row. "end": kmux ends as well, since somebody else (the frontend
    whose kernelspec runs kmux) decides."""
    restart_limit: int = RESTART_LIMIT
    owns_kernel: bool = True
    """Whether the kernel ends with the session; one that somebody else started does not."""
    restart: Literal["allow", "owner", "refuse"] = "allow"
    """Who may have the kernel restarted, for everybody: any client, the frontend that runs kmux as
    its kernel only, or none."""
    owner_ends: bool = True
    """Whether the session ends when the frontend that runs kmux as its kernel wants that; else it
    is let go of as everybody (:class:`commands.Goodbye`)."""
    prompts: Literal["wait", "anyone"] = "wait"
    """A prompt whose client is away waits for it, and its cell is interrupted when the client is
    gone; or any other client may answer."""
    away_seconds: float = AWAY_SECONDS
    """How long a client that vanished may come back, before what it had is let go of."""


class Lifecycle:
    """The state, and the latest deaths."""

    def __init__(self, policy: Policy) -> None:
        self.state = State.LAUNCHING
        self.policy = policy
        self.cause = ""
        """Why the kernel is dead, one line for a person."""
        self.was_ready = False
        """Whether any kernel of this session ever got so far."""
        self._deaths: deque[float] = deque()

    @property
    def holds(self) -> bool:
        """Whether requests wait for the kernel to be ready."""
        return self.state in (State.LAUNCHING, State.STARTING, State.RESTARTING)

    def happen(self, happening: Happening) -> bool:
        """Take a transition. Returns whether the state changed."""
        new = TRANSITIONS.get((self.state, happening), self.state)
        changed = new is not self.state
        self.state = new
        self.was_ready |= new is State.READY
        return changed

    def die(self, cause: str, at: float, *, for_good: bool = False) -> bool:
        """The kernel's process ended. Returns whether it is to be started again."""
        self.cause = cause
        self._deaths.append(at)
        while at - self._deaths[0] > RESTART_WINDOW_SECONDS:
            self._deaths.popleft()
        allowed = (
            not for_good
            and self.policy.on_death == "restart"
            and len(self._deaths) <= self.policy.restart_limit
        )
        self.happen("died" if allowed else "died for good")
        return self.state is State.RESTARTING
