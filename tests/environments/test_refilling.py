"""The task that keeps the pool full, with the real uv; what fails is quiet and tried again."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import trio

from proxy.environments import refilling as module
from proxy.environments.pool import Pool
from proxy.environments.refilling import KindStatus, Refilling
from proxy.environments.store import Environment, Store
from proxy.environments.wishes import PoolWish
from tests.environments.index import make_index, serve
from tests.environments.pooled import install, offer, wish

pytestmark = pytest.mark.timeout(120)

DAY = 86_400.0
NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index on this machine, which is not served unless the test does that."""
    make_index(tmp_path / "index")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serve(tmp_path / "index") as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        yield


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as found:
        yield found


@asynccontextmanager
async def running(
    store: Store, *wishes: PoolWish, days: float = 2.0, **more: Any
) -> AsyncIterator[Refilling]:
    pool = Pool(store, wishes, days=days)
    refilling = Refilling(pool, **{"begin_seconds": 0.0, **more})
    async with trio.open_nursery() as nursery:
        await nursery.start(refilling.run)
        with trio.fail_after(60):
            yield refilling
        nursery.cancel_scope.cancel()
    pool.close()


def of(refilling: Refilling, kind: str = "uv") -> KindStatus:
    return next(each for each in refilling.status() if each.kind == kind)


async def until(refilling: Refilling, **expected: Any) -> KindStatus:
    while any(getattr(of(refilling), name) != value for name, value in expected.items()):
        await trio.sleep(0.01)
    return of(refilling)


@pytest.mark.usefixtures("index")
async def test_it_is_filled_and_each_that_is_taken_replaced(
    store: Store, logged: list[Any]
) -> None:
    hooked: list[Environment] = []
    at_once = 0

    async def made(environment: Environment) -> None:
        nonlocal at_once
        at_once += 1
        assert at_once == 1, "one after the other"
        await trio.sleep(0.05)
        hooked.append(environment)
        at_once -= 1

    async with running(store, wish("toy", size=2), made=made) as refilling:
        await refilling.warm()
        full = of(refilling)
        assert (full.wanted, full.ready, full.making, full.problem) == (2, 2, None, None)
        assert full.made == tuple(each.manifest.created for each in hooked)
        other = Pool(store, [wish("toy", size=2)])
        taken = other.take("uv")
        assert taken == hooked[0]
        refilling.taken()
        await until(refilling, ready=2)
        while len(hooked) < 3:
            await trio.sleep(0.01)
        assert taken not in hooked[1:]
    assert [each["event"] for each in logged] == ["pool.made"] * 3
    other.close()


@pytest.mark.usefixtures("index")
async def test_it_leaves_the_machine_to_others_first_unless_somebody_waits(store: Store) -> None:
    async with running(store, wish("toy"), begin_seconds=3600.0) as refilling:
        assert of(refilling).ready == 0
        await refilling.warm()
        assert of(refilling).ready == 1
        Pool(store, [wish("toy")]).take("uv")
        refilling.taken()
        await trio.testing.wait_all_tasks_blocked()
        assert of(refilling) == KindStatus(
            kind="uv", wanted=1, ready=0, made=(), making=None, problem=None, retry=None
        )
        await refilling.warm()
        assert of(refilling).ready == 1


@pytest.mark.usefixtures("index")
async def test_what_another_process_takes_is_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    async with running(store, wish("toy")) as refilling:
        await refilling.warm()
        other = Pool(store, [wish("toy")])
        assert other.take("uv") is not None
        await until(refilling, ready=1)
        other.close()


async def test_without_a_network_it_is_quiet_and_tries_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    await offer(store, wish("toy", size=3), "there", age=3 * DAY)
    async with running(store, wish("toy", size=3), retry_seconds=0.05) as refilling:
        while of(refilling).problem is None:
            await trio.sleep(0.01)
        failed = of(refilling)
        assert failed.ready == 1, "what is there is still there, however old"
        assert failed.problem is not None
        assert failed.problem.startswith("the package index cannot be reached")
        assert "\n" not in failed.problem
        assert failed.retry is not None
        while of(refilling).retry < time.time() + 0.2:  # type: ignore[operator]
            await trio.sleep(0.01)
        assert [each["event"] for each in logged] == ["pool.waits"], "once"
        assert logged[0]["log_level"] == "warning"
        assert Pool(store, [wish("toy")]).take("uv") is not None
        await offer(store, wish("toy", size=3), "old", age=3 * DAY)
        with serve(tmp_path / "index") as url:
            monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
            await refilling.warm()
        now = await until(refilling, ready=3)
        assert now.problem is None
        assert now.retry is None
        assert now.made[0] > time.time() - DAY, "there is another one by now"
    assert "pool.dropped" in [each["event"] for each in logged]


async def test_it_takes_longer_each_time(store: Store, logged: list[Any]) -> None:
    async with running(store, wish("toy"), retry_seconds=100.0) as refilling:
        waits = []
        for _ in range(5):
            begun = time.time()
            await refilling.warm()
            retry = of(refilling).retry
            assert retry is not None
            waits.append(retry - begun)
    assert waits == [pytest.approx(each, abs=20) for each in (100, 200, 400, 600, 600)]
    assert len(logged) == 1


@pytest.mark.usefixtures("index")
async def test_packages_that_do_not_exist_are_the_problem_of_their_kind_only(
    store: Store, logged: list[Any]
) -> None:
    async with running(store, wish("toy", "kmux-nosuch")) as refilling:
        await refilling.warm()
        problem = of(refilling).problem
        assert problem is not None
        assert "kmux-nosuch" in problem
    assert [(each["event"], each["what"]) for each in logged] == [("pool.waits", "uv")]


@pytest.mark.usefixtures("index")
async def test_what_was_made_for_other_settings_goes_and_is_told_of(
    store: Store, logged: list[Any]
) -> None:
    left: list[str] = []

    async def leaving(key: str) -> None:
        assert store.find(key) is not None, "a kernel may still run in it"
        assert Pool(store, [wish("six")]).take("uv") is None
        left.append(key)

    await offer(store, wish("six"), "other")
    async with running(store, wish("toy"), leaving=leaving) as refilling:
        await refilling.warm()
        assert left == ["other"]
        (made,) = store.all()
        assert await refilling.flush() == 1
        await refilling.warm()
        assert left == ["other", made.key]
        assert of(refilling).ready == 1
        assert [each.key for each in store.all()] != [made.key]


async def test_none_is_made_where_none_is_wanted(store: Store, logged: list[Any]) -> None:
    await offer(store, wish("toy"), "it")
    async with running(store, wish("toy", size=0)) as refilling:
        await refilling.warm()
        assert (of(refilling).ready, of(refilling).problem) == (0, None)
    assert [each["event"] for each in logged] == ["pool.dropped"]


@pytest.mark.usefixtures("index")
async def test_a_daemon_begins_with_what_another_one_left(store: Store) -> None:
    before = Pool(store, [wish("toy", size=3)])
    for key in ("left", "outlived", "waits"):
        await offer(store, wish("toy", size=3), key)
    for key in ("left", "outlived"):
        taken = before.take("uv", notebook=f"/{key}.ipynb", prefer=[key])
        assert taken is not None
        install(taken.prefix, "numpy")
    before.close()
    async with running(store, wish("toy", size=3), in_use=lambda: ["outlived"]) as refilling:
        await refilling.warm()
        now = Pool(store, [wish("toy", size=3)])
        assert "outlived" in now.in_use()
        assert now.own("/outlived.ipynb", "uv") is None
        own = now.own("/left.ipynb", "uv")
        assert own is not None
        assert own.key == "left"
        assert "waits" in [each.environment.key for each in now.waiting("uv")]
        now.close()


@pytest.mark.usefixtures("index")
async def test_all_environments_together_keep_within_their_bound(store: Store) -> None:
    before = Pool(store, [wish("toy")])
    for key in ("kept", "used"):
        await offer(store, wish("toy"), key)
        taken = before.take("uv", notebook="/a.ipynb")
        assert taken is not None
        install(taken.prefix, "numpy")
        if key == "kept":
            assert before.given_back(key)
    async with running(store, wish("toy"), keep_bytes=1) as refilling:
        await refilling.warm()
        assert store.find("kept") is None
        assert store.find("used") is not None
        assert of(refilling).ready == 1
    before.close()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("place", ["building", "pool"])
async def test_a_disk_that_lets_nothing_be_written_is_a_problem_and_no_more(
    store: Store, logged: list[Any], place: str
) -> None:
    if place == "building":
        (store.root / place).rmdir()
    (store.root / place).write_text("")
    async with running(store, wish("toy"), retry_seconds=0.05) as refilling:
        await refilling.warm()
        problem = of(refilling).problem
        assert problem is not None
        assert problem.startswith("cannot write to")
        (store.root / place).unlink()
        await until(refilling, ready=1, problem=None)
    assert [each["event"] for each in logged] == ["pool.waits", "pool.made"]


@pytest.mark.usefixtures("index")
async def test_a_bug_ends_no_daemon(store: Store, logged: list[Any]) -> None:
    async def broken(_: Environment) -> None:
        raise ValueError("a bug")

    async with running(store, wish("toy", size=2), made=broken, retry_seconds=0.0) as refilling:
        await until(refilling, ready=2)
    assert "internal.error" in [each["event"] for each in logged]


@pytest.mark.usefixtures("index")
async def test_what_is_made_when_it_ends_leaves_nothing(store: Store) -> None:
    async with running(store, wish("toy")) as refilling:
        while of(refilling).making is None:
            await trio.lowlevel.checkpoint()
    assert store.all() == []
    assert list((store.root / "building").iterdir()) == []


async def test_a_status_is_json(store: Store) -> None:
    status = Refilling(Pool(store, [wish("toy", size=2)])).status()
    assert json.loads(msgspec.json.encode(status)) == [
        {
            "kind": "uv",
            "wanted": 2,
            "ready": 0,
            "made": [],
            "making": None,
            "problem": None,
            "retry": None,
        }
    ]
