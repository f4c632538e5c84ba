"""What is on its way is on the disk soon, and not written again where nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from proxy.daemon import carrier as module
from proxy.daemon.carrier import Carrier
from proxy.daemon.state import SessionDirectory
from proxy.session.session import Session
from tests.messages import cell, status
from tests.session.playbook import Frontend, Playbook, kernel, with_a_kernel

alice = Frontend("alice")


class Scene:
    """A session, and what is kept of it."""

    def __init__(self) -> None:
        self.playbook: Playbook = with_a_kernel()
        self.session: Session = self.playbook.session
        self.directory = SessionDirectory("abc")
        self.carrier = Carrier(self.session, self.directory, lambda: {"zmq": 2}, lambda leaves: [])

    def waiting(self) -> int:
        carried = self.directory.carried()
        return -1 if carried is None else len(carried.waiting)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("KMUX_DATA_DIR", str(tmp_path / "data"))
    return Scene()


async def test_it_is_written_when_something_changed(
    scene: Scene, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    nursery.start_soon(scene.carrier.run)
    scene.playbook.when(alice.sends(cell()), alice.sends(cell()))
    scene.carrier.wake()
    await trio.sleep(1)
    assert scene.waiting() == 1
    carried = scene.directory.carried()
    assert carried is not None
    assert carried.listeners == {"zmq": 2}


async def test_it_is_not_written_for_what_is_only_shown(
    scene: Scene, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    nursery.start_soon(scene.carrier.run)
    scene.carrier.wake()
    await trio.sleep(1)
    (scene.directory.path / "carried.msgpack").unlink()
    scene.playbook.when(kernel.publishes(status("busy")))
    scene.carrier.wake()
    await trio.sleep(1)
    assert scene.waiting() == -1


async def test_what_comes_while_it_rests_is_written_after(
    scene: Scene, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    nursery.start_soon(scene.carrier.run)
    for number in range(5):
        scene.playbook.when(alice.sends(cell()))
        scene.carrier.wake()
        await trio.sleep(module.INTERVAL_SECONDS / 10)
        assert scene.waiting() == 0, number
    await trio.sleep(module.INTERVAL_SECONDS * 2)
    assert scene.waiting() == 4


async def test_a_disk_that_takes_nothing_does_not_end_it(
    scene: Scene, nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    scene.directory.path.mkdir(parents=True)
    obstacle = scene.directory.path / ".carried.msgpack.new"
    obstacle.mkdir()
    nursery.start_soon(scene.carrier.run)
    scene.playbook.when(alice.sends(cell()))
    scene.carrier.wake()
    await trio.sleep(1)
    assert scene.waiting() == -1
    obstacle.rmdir()
    scene.playbook.when(alice.sends(cell()))
    scene.carrier.wake()
    await trio.sleep(1)
    assert scene.waiting() == 1


async def test_what_is_large_is_written_too(scene: Scene) -> None:
    scene.playbook.when(alice.sends(cell()), alice.sends(cell("x" * module.SMALL_BYTES)))
    await scene.carrier.write()
    assert scene.waiting() == 1
