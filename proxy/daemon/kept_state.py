"""What a session is, in memory and on the disk: changed in one place, so that both agree."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.daemon.state import SessionDirectory, SessionState
from proxy.errors import StoreError
from proxy.logs import log


class KeptState:
    """The state of one session. ``changed`` is called whenever it is another one."""

    def __init__(
        self, state: SessionState, directory: SessionDirectory, changed: Callable[[], None]
    ) -> None:
        self.now: SessionState = state
        self.is_over = False
        """Whether the session is: nothing is written any more."""
        self._directory = directory
        self._changed = changed

    def change(self, **fields: object) -> None:
        """Change something. Raises :class:`StoreError` where only we know of it now."""
        self.now = msgspec.structs.replace(self.now, **fields)
        self._changed()
        if not self.is_over:
            self._directory.write(self.now)

    def keep(self, **fields: object) -> None:
        """Change something also where the disk does not let us: then the next daemon lacks it."""
        try:
            self.change(**fields)
        except StoreError as error:
            log().error("session.not_carried", why=str(error))
