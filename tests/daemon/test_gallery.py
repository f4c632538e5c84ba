"""What who looks is told, and when. Real kernels and sessions, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from proxy.daemon import control
from proxy.daemon import gallery as galleries
from proxy.daemon.gallery import Gallery, Onlooker, Parts, rounded
from proxy.daemon.live import LiveSession
from proxy.daemon.process_trees import Load
from proxy.daemon.sessions import Sessions
from proxy.daemon.vocabulary import NewSession
from proxy.hosting import Host, open_host
from proxy.settings import Settings
from proxy.wire import connection
from tests.endpoints.scene import SHELL, Frontend
from tests.frontends.kmux_process import Workplace
from tests.messages import cell

pytestmark = pytest.mark.timeout(120)


class Scene:
    """A daemon's sessions, without its socket, and frontends in this process."""

    def __init__(self, host: Host, sessions: Sessions) -> None:
        self.sessions = sessions
        self.frontends: list[Frontend] = []
        self._host = host

    def attach(self, live: LiveSession) -> Alice:
        info = connection.read(Path(live.describe().connection_file))
        frontend = Frontend(self._host.context, self._host.sockets, info, b"alice")
        self.frontends.append(frontend)
        return Alice(frontend)


class Alice:
    """A frontend that runs cells."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend

    async def run(self, code: str) -> None:
        asked = cell(code)
        self._frontend.send(asked)
        await self._frontend.received[SHELL].next_where(
            lambda reply: reply.parent is not None and reply.parent.msg_id == asked.msg_id,
            seconds=20,
        )


@pytest.fixture
async def scene(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """All ends with the test."""
    for name in ("HOME", "JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "KMUX_RUNTIME_DIR"):
        monkeypatch.setenv(name, workplace.environment[name])
    monkeypatch.setenv("KMUX_DATA_DIR", workplace.environment["KMUX_DATA_DIR"])
    async with open_host() as host, trio.open_nursery() as nursery:
        sessions = Sessions(host, Settings(), {})
        await nursery.start(sessions.run)
        scene = Scene(host, sessions)
        try:
            yield scene
        finally:
            for frontend in scene.frontends:
                frontend.close()
            with trio.CancelScope(shield=True):
                await sessions.stop_all()
        nursery.cancel_scope.cancel()


def decoded(news: bytes | None) -> dict[str, Any]:
    assert news is not None
    found: dict[str, Any] = msgspec.json.decode(news)
    return found


class Onlooking:
    """Who looks at sessions, as the WebSocket's task does."""

    def __init__(self, sessions: Sessions, gallery: Gallery) -> None:
        self.heard: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.cells: dict[str, list[dict[str, Any]]] = {}
        self._sessions, self._gallery = sessions, gallery
        self._onlooker = Onlooker(read_only=False)

    async def look(self) -> None:
        with self._sessions.changes.looking() as bell:
            while True:
                news = self._onlooker.news(await self._gallery.look())
                if news is not None:
                    self.heard.append(decoded(news))
                    self.times.append(trio.current_time())
                    self.cells.update(self.heard[-1].get("cells", {}))
                await self._gallery.wait(bell)

    async def until(self, code: str, state: str) -> dict[str, Any]:
        """Wait until a cell is seen in this state."""
        with trio.fail_after(20):
            while True:
                for cells in self.cells.values():
                    for cell in cells:
                        if (cell["code"], cell["state"]) == (code, state):
                            return cell
                await trio.sleep(0.01)


async def test_what_happens_is_told_at_intervals_and_what_does_not_is_not(scene: Scene) -> None:
    live = await scene.sessions.new(NewSession(kernel="python3", name="work"))
    gallery = Gallery(scene.sessions)
    alice = scene.attach(live)
    onlooking = Onlooking(scene.sessions, gallery)
    code = "import time\nfor i in range(30):\n    print(i, flush=True)\n    time.sleep(0.05)"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(onlooking.look)
        await alice.run(code)
        shown = await onlooking.until(code, "complete")
        assert shown["outputs"][0]["text"].endswith("\n28\n29\n")
        seconds = onlooking.times[-1] - onlooking.times[0]
        paces = seconds / galleries.INTERVAL_SECONDS + seconds / galleries.LOAD_SECONDS
        assert len(onlooking.heard) <= paces + 3
        await control.flush(live)
        await trio.sleep(2 * galleries.INTERVAL_SECONDS)
        said = len(onlooking.heard)
        await trio.sleep(2 * galleries.LOAD_SECONDS)
        later = [each.keys() - {"now", "loads"} for each in onlooking.heard[said:]]
        assert not any(later), "a kernel at rest is no news"
        nursery.cancel_scope.cancel()
    first, *others = onlooking.heard
    assert first["order"] == [live.state.id]
    assert first["sessions"][live.state.id]["info"]["name"] == "work"
    assert first["loads"][live.state.id]["memory_bytes"] > 10_000_000
    assert not any("order" in each for each in others)


async def test_while_nobody_looks_nothing_is_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await scene.sessions.new(NewSession(kernel="python3", name="work"))
    gallery, made = Gallery(scene.sessions), list[str]()
    make = gallery._made

    async def noted(live: Any) -> Parts:
        made.append(live.name)
        return await make(live)

    monkeypatch.setattr(gallery, "_made", noted)
    alice = scene.attach(live)
    await alice.run("1")
    assert made == []
    with scene.sessions.changes.looking():
        await gallery.look()
        assert made == ["work"]
        with trio.fail_after(20):  # until the record has all that the cell was
            while made:
                made.clear()
                await trio.sleep(0.1)
                await gallery.look()
        await alice.run("2")
        await gallery.look()
        assert made == ["work"], "once, however much has happened"


async def test_sessions_come_and_go_and_are_renamed(scene: Scene) -> None:
    gallery, onlooker = Gallery(scene.sessions), Onlooker(read_only=True)
    with scene.sessions.changes.looking():
        assert decoded(onlooker.news(await gallery.look())).items() >= {
            ("read_only", True),
        }
        assert onlooker.news(await gallery.look()) is None
        live = await scene.sessions.new(NewSession(kernel="python3", name="work", record=False))
        news = decoded(onlooker.news(await gallery.look()))
        assert news["order"] == [live.state.id]
        assert news["cells"] == {live.state.id: []}
        assert "read_only" not in news
        await scene.sessions.rename("work", "play")
        news = decoded(onlooker.news(await gallery.look()))
        assert news["sessions"][live.state.id]["info"]["name"] == "play"
        assert "order" not in news, "it is the same session"
        await scene.sessions.stop("play")
        assert decoded(onlooker.news(await gallery.look())).keys() == {"now", "order"}


async def test_who_hangs_up_meanwhile_takes_nothing_from_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await scene.sessions.new(NewSession(kernel="python3", name="work"))
    gallery = Gallery(scene.sessions)
    make = gallery._made

    async def never(live: Any) -> Parts:
        await trio.sleep_forever()
        raise AssertionError

    with scene.sessions.changes.looking():
        before = await gallery.look()
        live.belongs_to("/somewhere/else.ipynb")
        monkeypatch.setattr(gallery, "_made", never)
        with trio.move_on_after(0.01):
            await gallery.look()
        monkeypatch.setattr(gallery, "_made", make)
        after = await gallery.look()
    assert b"else.ipynb" in after[live.state.id].session
    assert b"else.ipynb" not in before[live.state.id].session


@pytest.mark.parametrize(
    ("percent", "size", "seen"),
    [
        (None, 0, (None, 0)),
        (0.4, 123_456_789, (0, 123_000_000)),
        (99.7, 1_239_999_999, (100, 1_240_000_000)),
        (801.2, 42, (801, 42)),
    ],
)
def test_what_nobody_tells_apart_is_the_same(
    percent: float | None, size: int, seen: tuple[int | None, int]
) -> None:
    load = rounded(Load(cpu_percent=percent, memory_bytes=size, processes=1))
    assert (load.cpu_percent, load.memory_bytes) == seen


def test_only_what_is_new_is_told() -> None:
    onlooker = Onlooker(read_only=False)
    one, two = Parts(b"1", b"[]"), Parts(b"2", b"[]", b"3")
    assert decoded(onlooker.news({})).keys() == {"now", "read_only", "order"}
    assert decoded(onlooker.news({"a": one}))["sessions"] == {"a": 1}
    news = decoded(onlooker.news({"a": one, "b": two}))
    assert (news["order"], news["loads"], news["sessions"]) == (["a", "b"], {"b": 3}, {"b": 2})
    assert onlooker.news({"a": one, "b": two}) is None
    news = decoded(onlooker.news({"b": two, "a": one}))
    assert news.keys() == {"now", "order"}
    news = decoded(onlooker.news({"b": two, "a": Parts(b"1", b"[4]")}))
    assert news.keys() == {"now", "cells"}
