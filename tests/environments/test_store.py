"""Environments on the disk: whole or not there, whoever makes them, and whoever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from proxy.environments.store import Environment, Manifest, Store
from proxy.errors import ConfigError, DiskFull, NotFound, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def manifest(*packages: str) -> Manifest:
    return Manifest(
        manager="uv", asked=packages, packages=packages, python="bin/python", created=time.time()
    )


async def make(directory: Path, prefix: Path) -> Manifest:
    """Make what looks like an environment, in two steps."""
    (directory / "bin").mkdir(parents=True)
    await trio.lowlevel.checkpoint()
    (directory / "bin" / "python").symlink_to(sys.executable)
    (directory / "where").write_text(str(prefix))
    return manifest("numpy==2.0")


@pytest.mark.trio
async def test_what_was_made_is_found(store: Store) -> None:
    assert store.find("one") is None
    made = await store.made("one", make)
    found = store.find("one")
    assert found == made
    assert found.python.exists()
    assert (found.prefix / "where").read_text() == str(found.prefix)
    assert [each.key for each in store.all()] == ["one"]


@pytest.mark.trio
async def test_it_is_made_once_whoever_wants_it(store: Store) -> None:
    count = 0

    async def slow(directory: Path, prefix: Path) -> Manifest:
        nonlocal count
        count += 1
        await trio.sleep(0.1)
        return await make(directory, prefix)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(Store(store.prefix("").parents[0]).made, "one", slow)
    assert count == 1


@pytest.mark.trio
@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_nothing_is_left_of_one_that_was_not_completed(
    store: Store, tmp_path: Path, how: str
) -> None:
    async def broken(directory: Path, prefix: Path) -> Manifest:
        await make(directory, prefix)
        if how == "fails":
            raise ConfigError("it cannot be")
        await trio.sleep_forever()
        raise AssertionError

    if how == "fails":
        with pytest.raises(ConfigError, match="it cannot be"):
            await store.made("one", broken)
    else:
        with trio.move_on_after(0.1):
            await store.made("one", broken)
    assert store.find("one") is None
    assert list((tmp_path / "cache" / "building").iterdir()) == []
    assert (await store.made("one", make)).key == "one"


_MAKE_AND_HANG = """
import sys, trio
from pathlib import Path
from proxy.environments.store import Store
async def hang(directory, prefix):
    (directory / "bin").mkdir(parents=True)
    print("begun", flush=True)
    await trio.sleep_forever()
trio.run(Store(Path(sys.argv[1])).made, "one", hang)
"""


def test_what_a_killed_process_left_is_never_used_and_swept(store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAKE_AND_HANG, str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        store.sweep()
        building = list((tmp_path / "cache" / "building").iterdir())
        assert len(building) == 1, "it is still being made"
        process.send_signal(signal.SIGKILL)
    assert store.find("one") is None
    store.sweep()
    assert list((tmp_path / "cache" / "building").iterdir()) == []
    assert trio.run(store.made, "one", make).key == "one"


@pytest.mark.trio
async def test_what_answered_a_need_answers_it_again(store: Store) -> None:
    made = await store.made("one", make)
    store.remember("numpy", made.key)
    assert store.answer("numpy") == made
    assert store.answer("scipy") is None
    store.remove("one")
    assert store.answer("numpy") is None
    (store.prefix("").parents[0] / "needs" / "numpy.json").write_text('"cut')
    assert store.answer("numpy") is None


@pytest.mark.trio
@pytest.mark.parametrize("damage", ["manifest", "python"])
async def test_a_damaged_one_is_made_again(store: Store, damage: str) -> None:
    made = await store.made("one", make)
    if damage == "manifest":
        (made.prefix / "kmux.json").write_text("{")
    else:
        made.python.unlink()
        made.python.symlink_to("/nowhere/python")
    assert store.find("one") is None
    assert (await store.made("one", make)).python.exists()


@pytest.mark.trio
async def test_who_used_it_last_and_for_what(store: Store) -> None:
    made = await store.made("one", make)
    assert made.used.at == pytest.approx(made.manifest.created)
    for notebook in ("/a.ipynb", "/b.ipynb", "/a.ipynb"):
        made.note_use(notebook)
    made.note_use()
    assert made.used.notebooks == ("/a.ipynb", "/b.ipynb")
    for number in range(100):
        made.note_use(f"/{number}.ipynb")
    assert len(made.used.notebooks) == 20


async def used_in_turn(store: Store) -> list[Environment]:
    made = [await store.made(key, make) for key in ("old", "middle", "new")]
    for at, each in enumerate(made):
        (each.prefix / "content").write_bytes(b"x" * 10_000)
        each.note_use()
        os.utime(each.prefix)
        raw = (each.prefix / "kmux-used.json").read_text()
        (each.prefix / "kmux-used.json").write_text(raw.replace('"at":', f'"at":{at + 1},"then":'))
    return made


@pytest.mark.trio
async def test_pruning_takes_what_was_not_used_for_the_longest_time(store: Store) -> None:
    await used_in_turn(store)
    assert [each.key for each in store.all()] == ["new", "middle", "old"]
    assert store.prune(10**9) == []
    assert [each.key for each in store.prune(25_000)] == ["old"]
    assert [each.key for each in store.all()] == ["new", "middle"]


@pytest.mark.trio
async def test_pruning_leaves_what_is_in_use(store: Store) -> None:
    await used_in_turn(store)
    assert [each.key for each in store.prune(0, in_use=["old"])] == ["middle", "new"]
    assert [each.key for each in store.all()] == ["old"]


@pytest.mark.trio
async def test_pruning_takes_what_was_not_used_since(store: Store) -> None:
    await used_in_turn(store)
    assert store.prune(None) == []
    gone = store.prune(None, ["old"], unused_since=2.5)
    assert [each.key for each in gone] == ["middle"]
    assert [each.key for each in store.all()] == ["new", "old"]


@pytest.mark.trio
async def test_pruning_takes_what_is_of_no_use(store: Store) -> None:
    made = await store.made("one", make)
    assert store.broken() == []
    made.python.unlink()
    assert (store.broken(), store.all()) == (["one"], [])
    assert store.prune(None, ["one"]) == []
    assert [each.key for each in store.prune(None)] == ["one"]
    assert store.broken() == []


@pytest.mark.trio
async def test_its_own_files_are_those_that_no_other_directory_has(
    store: Store, tmp_path: Path
) -> None:
    made = await store.made("one", make)
    before = made.size()
    assert before.bytes == before.own
    (tmp_path / "of uv").write_bytes(b"x" * 10_000)
    os.link(tmp_path / "of uv", made.prefix / "shared")
    (made.prefix / "lib").symlink_to("/usr/lib")  # what is there is not counted
    size = made.size()
    assert (size.bytes - size.own, size.own) == (10_000, before.own)
    assert store.remove("one").size == size


@pytest.mark.trio
async def test_sweeping_takes_answers_that_are_none_any_more(store: Store, tmp_path: Path) -> None:
    for need, key in (("numpy", "one"), ("scipy", "two")):
        await store.made(key, make)
        store.remember(need, key)
    store.remove("one")
    store.sweep()
    assert [path.stem for path in (tmp_path / "cache" / "needs").iterdir()] == ["scipy"]


@pytest.mark.trio
async def test_one_that_is_not_there_cannot_be_removed(store: Store) -> None:
    with pytest.raises(NotFound, match="no environment 'one'; kmux env list shows them"):
        store.remove("one")


def test_a_place_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to .*; see to it, or set KMUX_CACHE"):
        Store(tmp_path / "file")


def test_a_disk_that_is_full_is_one_line(store: Store, tmp_path: Path) -> None:
    expected = "No space left on device; make room there, or set KMUX_"
    with pytest.raises(DiskFull, match=expected), store.workplace():
        Path("/dev/full").write_text("something")
    assert list((tmp_path / "cache" / "building").iterdir()) == []
