"""A session that is begun while somebody watches: what is done for it, then that it is there.

Hanging up before is to want it no more: whoever presses Ctrl-C does not want a kernel that comes
up minutes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from proxy.daemon.vocabulary import NewSession, StartNews
from proxy.errors import kind_of

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions

ALIVE_SECONDS = 5.0
"""How often a line without news shows that somebody is there."""


class Starting:
    """Iterate for the news, as JSON lines, until the last one. Made by :func:`start`."""

    def __init__(self, live: LiveSession, *, is_new: bool) -> None:
        self._live = live
        self._is_new = is_new
        self._told: str | None = None
        self._over = False

    def __aiter__(self) -> Starting:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        live = self._live
        with live.looks.looking() as bell:
            while not live.ready.is_set():
                step = live.preparing
                if step != self._told:
                    self._told = step
                    return _line(StartNews(step=step, name=live.name))
                with trio.move_on_after(ALIVE_SECONDS) as quiet:
                    await bell.wait()
                if quiet.cancelled_caught:
                    return b"\n"
        self._over = True
        if live.gone is not None:
            return _line(StartNews(problem=str(live.gone), reason=kind_of(live.gone)))
        return _line(StartNews(session=live.describe()))

    async def aclose(self) -> None:
        """It was told the last, or hung up."""
        if not self._over and self._is_new:
            self._live.stop()


async def start(sessions: Sessions, wish: NewSession) -> Starting:
    """Begin a session, or find the one of this notebook. Raises as :meth:`Sessions.begin`."""
    live, is_new = await sessions.begin(wish)
    return Starting(live, is_new=is_new)


def _line(news: StartNews) -> bytes:
    return msgspec.json.encode(news) + b"\n"
