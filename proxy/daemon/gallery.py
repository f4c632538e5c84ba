"""All sessions as those see them who look: made once for all, and anew only where it changed.

Theory. Who looks is told what changed since it was told last, and that is known by comparing JSON:
of each session there are three parts (itself, its cells, its load), each made when the session has
stirred (``changes.py``), twice a second at the most. So what a look costs depends neither on how
often something happens nor on how many look, and while nobody does nothing is made.

The load is looked at every few seconds. It is rounded, so that a kernel at rest is no news.
"""

from __future__ import annotations

import math
import time
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import trio

from proxy.bell import Bell
from proxy.daemon import control
from proxy.daemon.process_trees import Load, ProcessTrees
from proxy.daemon.watch_vocabulary import LoadSeen, News, Watched
from proxy.record import glimpse
from proxy.record.glimpse import ShownCell
from proxy.record.trees import time_text

if TYPE_CHECKING:
    from proxy.daemon.live import LiveSession
    from proxy.daemon.sessions import Sessions

INTERVAL_SECONDS = 0.5
"""Between two looks at what changed."""
GATHER_SECONDS = 0.05
"""What belongs together comes within it: a cell, its first output, its end."""
LOAD_SECONDS = 2.0
CELLS = 4
MAX_CLIENTS = 30
MAX_QUEUE = 20
MAX_COUNTED = 1000
"""Cells that are counted; who has more waits for long."""
NOTHING = b"null"


class Parts(msgspec.Struct, frozen=True):
    """A session, as JSON."""

    session: bytes
    cells: bytes
    load: bytes = NOTHING


class Gallery:
    """What there is to see."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._parts: dict[str, Parts] = {}
        self._stale: set[str] = set()
        """Sessions of which another part is to be made. Who makes it may hang up meanwhile."""
        self._trees = ProcessTrees()
        self._loads: dict[int, Load] = {}
        self._looked_at = self._sampled_at = -math.inf
        self._one_at_a_time = trio.Lock()
        self._thread = trio.CapacityLimiter(1)

    def forget(self) -> None:
        """Nobody has looked for a while: what was seen is not what is."""
        self._parts.clear()
        self._trees = ProcessTrees()
        self._sampled_at = -math.inf

    async def look(self) -> dict[str, Parts]:
        """Return all sessions by their ids, in the order of their names."""
        async with self._one_at_a_time:
            lives = {live.state.id: live for live in self._sessions.all()}
            self._stale |= self._sessions.changes.take() | lives.keys() - self._parts.keys()
            for ident in self._stale & lives.keys():
                self._parts[ident] = await self._made(lives[ident])
                self._stale.discard(ident)
                self._looked_at = trio.current_time()
            self._stale &= lives.keys()
            if trio.current_time() >= self._sampled_at + LOAD_SECONDS:
                await self._sample(lives)
            for ident, live in lives.items():
                load = msgspec.json.encode(self._load_of(live))
                self._parts[ident] = msgspec.structs.replace(self._parts[ident], load=load)
            self._parts = {ident: self._parts[ident] for ident in lives}
            return dict(self._parts)

    async def wait(self, bell: Bell) -> None:
        """Wait until there may be something else to see."""
        is_due = self._sampled_at + LOAD_SECONDS
        with trio.move_on_at(is_due) as waiting:
            await bell.wait()
        if not waiting.cancelled_caught:
            earliest = trio.current_time() + GATHER_SECONDS
            await trio.sleep_until(max(earliest, self._looked_at + INTERVAL_SECONDS))

    async def cells(self, live: LiveSession, count: int = CELLS) -> list[ShownCell]:
        """Return a session's latest cells; none where it is not recorded."""
        recorder = live.hosted.recorder
        if recorder is None:
            return []
        sketches = glimpse.sketch(recorder.record, count)
        if not glimpse.is_on_disk(sketches):
            return glimpse.draw(sketches, recorder)
        return await trio.to_thread.run_sync(glimpse.draw, sketches, recorder, limiter=self._thread)

    async def _made(self, live: LiveSession) -> Parts:
        watched = Watched(
            info=live.describe(),
            clients=control.clients(live)[:MAX_CLIENTS],
            queue=control.queue(live, MAX_QUEUE),
            queued=sum(1 for _ in islice(live.hosted.runner.executions, MAX_COUNTED)),
            is_ours=live.state.found is None,
        )
        cells = await self.cells(live)
        return Parts(msgspec.json.encode(watched), msgspec.json.encode(cells))

    # Loads

    async def _sample(self, lives: dict[str, LiveSession]) -> None:
        pids = [pid for live in lives.values() if (pid := live.hosted.runner.kernel.pid)]
        is_first = self._sampled_at == -math.inf
        self._loads = await trio.to_thread.run_sync(self._trees.look, pids, limiter=self._thread)
        now = trio.current_time()  # it takes two to know anything of the processor
        self._sampled_at = now - LOAD_SECONDS + INTERVAL_SECONDS if is_first else now

    def _load_of(self, live: LiveSession) -> LoadSeen | None:
        load = self._loads.get(live.hosted.runner.kernel.pid or 0)
        return rounded(load) if load is not None else None


def rounded(load: Load) -> LoadSeen:
    """Round a load to what a person would tell apart: percents, and three digits of memory."""
    size = load.memory_bytes
    digits = 2 - int(math.log10(size)) if size > 0 else 0
    percent = load.cpu_percent
    return LoadSeen(
        cpu_percent=None if percent is None else round(percent),
        memory_bytes=round(size, min(0, digits)),
        processes=load.processes,
    )


class Onlooker:
    """What one who looks was told."""

    def __init__(self, *, read_only: bool) -> None:
        self._read_only: bool | None = read_only
        self._told: dict[str, Parts] = {}

    def news(self, parts: dict[str, Parts]) -> bytes | None:
        """Return what it is to be told now, as JSON; None where that is nothing."""
        told, self._told = self._told, dict(parts)
        is_first = self._read_only is not None
        if not is_first and told == parts and list(told) == list(parts):
            return None
        nothing = Parts(b"", b"", b"")

        def changed(name: str) -> dict[str, msgspec.Raw]:
            return {
                ident: msgspec.Raw(getattr(part, name))
                for ident, part in parts.items()
                if getattr(told.get(ident, nothing), name) != getattr(part, name)
            }

        news = News(
            now=time_text(time.time()) or "",
            read_only=self._read_only,
            order=list(parts) if is_first or list(told) != list(parts) else None,
            sessions=changed("session"),
            cells=changed("cells"),
            loads=changed("load"),
        )
        self._read_only = None
        return msgspec.json.encode(news)
