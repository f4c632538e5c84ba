"""The pool on the disk: made by the real uv and py-rattler, taken by one, never half-made."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from proxy.environments import uv
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.pool import Pool
from proxy.environments.pool_records import Record, Records
from proxy.environments.progress import Progress, tell_nobody
from proxy.environments.store import Environment, Store
from proxy.environments.wishes import PoolWish, wishes
from proxy.errors import ConfigError, StoreError, Unreachable
from proxy.settings import Settings
from tests.environments.index import make_index, serve
from tests.environments.pooled import install, offer, wish

pytestmark = pytest.mark.timeout(180)

DAY = 86_400.0
SIX = wish("six==1.16.0", size=2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def pool(store: Store) -> Pool:
    return Pool(store, [SIX])


def asked(environment: Environment, code: str) -> Any:
    """Return what a Python in it prints, as JSON."""
    run = subprocess.run(
        [environment.python, "-c", code], capture_output=True, check=True, timeout=60
    )
    return json.loads(run.stdout)


def keys(pool: Pool) -> list[str]:
    return [each.environment.key for each in pool.waiting("uv")]


async def made(pool: Pool) -> Environment:
    environment = await pool.make("uv", uv.find(at_rest=True), tell_nobody)
    assert environment is not None
    return environment


# Making and taking


async def test_what_the_settings_want_has_a_kernel_and_widgets_and_is_compiled(
    store: Store,
) -> None:
    pool = Pool(store, wishes(Settings(pool_uv=1, pool_conda=0, default_packages="six==1.16.0")))
    steps: list[Progress] = []
    environment = await pool.make("uv", uv.find(at_rest=True), steps.append)
    assert environment is not None
    assert steps[0].stage == "solving"
    code = "import importlib.metadata as m, json, six, sys; print(json.dumps({{}}))"
    code = code.replace("{{}}", "[sys.prefix, *map(m.version, ('ipykernel', 'ipywidgets', 'six'))]")
    prefix, *versions = asked(environment, code)
    assert prefix == str(environment.prefix)
    named = ("ipykernel", "ipywidgets", "six")
    assert {f"{n}=={v}" for n, v in zip(named, versions, strict=True)} <= set(
        environment.manifest.packages
    )
    assert list(environment.prefix.glob("lib/*/site-packages/ipykernel/__pycache__/*.pyc"))
    assert pool.missing("uv") == 0
    assert pool.take("uv") == environment
    assert pool.missing("uv") == 1


async def test_it_is_filled_one_after_the_other_and_no_further(pool: Pool) -> None:
    assert pool.missing("uv") == 2
    assert pool.take("uv") is None
    first = await made(pool)
    second = await made(pool)
    assert first.prefix != second.prefix
    assert await pool.make("uv", uv.find(at_rest=True), tell_nobody) is None
    assert keys(pool) == [first.key, second.key]
    assert pool.take("uv") == first, "the oldest, so that none becomes too old"
    assert pool.take("uv") == second
    assert pool.take("uv") is None
    code = "import json, six, sys; print(json.dumps([six.__version__, sys.prefix]))"
    assert asked(second, code) == ["1.16.0", str(second.prefix)]


async def test_two_daemons_fill_it_together(store: Store) -> None:
    pools = [Pool(store, [wish("six==1.16.0", size=1)]) for _ in range(2)]
    found: list[Environment | None] = []

    async def fill(pool: Pool) -> None:
        found.append(await pool.make("uv", uv.find(at_rest=True), tell_nobody))

    async with trio.open_nursery() as nursery:
        for pool in pools:
            nursery.start_soon(fill, pool)
    assert sorted(each is None for each in found) == [False, True]


async def test_one_that_is_made_for_who_waits_is_taken_at_once(pool: Pool) -> None:
    environment = await pool.make_taken("uv", uv.find(), tell_nobody, notebook="/a.ipynb")
    assert keys(pool) == []
    assert environment.key in pool.in_use()
    assert environment.used.notebooks == ("/a.ipynb",)
    pool.sweep()
    assert asked(environment, "print(1)") == 1


async def test_which_one_is_better_may_be_said(pool: Pool, store: Store) -> None:
    await offer(store, SIX, "old", age=3 * DAY)
    await offer(store, SIX, "first", age=20)
    await offer(store, SIX, "second", age=10)
    assert keys(pool) == ["first", "second", "old"]
    taken = [pool.take("uv", prefer=["second"]), pool.take("uv"), pool.take("uv")]
    assert [each.key for each in taken if each] == ["second", "first", "old"]


async def test_one_that_somebody_removed_is_not_taken(pool: Pool, store: Store) -> None:
    await offer(store, SIX, "gone")
    await offer(store, SIX, "here")
    store.remove("gone")
    assert pool.unwanted() == ["gone"]
    found = pool.take("uv")
    assert found is not None
    assert found.key == "here"


_TAKE_ALL = """
import sys
from pathlib import Path
from proxy.environments.pool import Pool
from proxy.environments.store import Store
from proxy.environments.uv_environments import UvNeed
from proxy.environments.wishes import PoolWish
need = UvNeed(requirements=("six==1.16.0",), has_kernel=False)
pool = Pool(Store(Path(sys.argv[1])), [PoolWish(size=2, need=need)])
print("ready", flush=True)
sys.stdin.readline()
while taken := pool.take("uv"):
    print(taken.key, flush=True)
"""


def test_each_is_taken_by_one_of_two(store: Store) -> None:
    offered = [trio.run(offer, store, SIX, f"key-{number:02}") for number in range(100)]
    command = [sys.executable, "-c", _TAKE_ALL, str(store.root)]
    takers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    told = [taker.communicate(timeout=60)[0].split() for taker in takers]
    assert sorted(told[0] + told[1]) == offered


# What is of no use


async def test_what_was_made_for_other_settings_is_never_taken(pool: Pool, store: Store) -> None:
    await offer(store, SIX, "it")
    other = Pool(store, [wish("other")])
    assert other.waiting("uv") == []
    assert other.take("uv") is None
    assert other.missing("uv") == 1
    assert other.unwanted() == ["it"]
    assert other.retire("it")
    other.discard("it")
    assert store.all() == []
    assert other.unwanted() == []


async def test_one_that_is_too_old_is_there_until_there_is_another(store: Store) -> None:
    pool = Pool(store, [wish("six==1.16.0", size=1)], days=2)
    await offer(store, SIX, "old", age=2.1 * DAY)
    assert pool.missing("uv") == 1
    assert pool.unwanted() == []
    await offer(store, SIX, "new")
    assert pool.missing("uv") == 0
    assert pool.unwanted() == ["old"]
    assert Pool(store, [SIX], days=0).missing("uv") == 0, "any age"
    assert Pool(store, [wish("six==1.16.0", size=0)]).unwanted() == ["new", "old"]


async def test_a_broken_one_is_of_no_use(pool: Pool, store: Store) -> None:
    await offer(store, SIX, "it")
    (waiting,) = pool.waiting("uv")
    waiting.environment.python.unlink()
    assert pool.missing("uv") == 2
    assert pool.unwanted() == ["it"]
    assert pool.take("uv") is None


# What becomes of one that was taken


async def taken_for(pool: Pool, store: Store, notebook: str | None) -> Environment:
    await offer(store, SIX, f"key-{len(store.all())}")
    taken = pool.take("uv", notebook=notebook)
    assert taken is not None
    return taken


async def test_one_into_which_nothing_was_installed_is_removed(pool: Pool, store: Store) -> None:
    taken = await taken_for(pool, store, "/a.ipynb")
    await trio.run_process([taken.python, "-E", "-c", "import six"])
    assert not pool.given_back(taken.key)
    assert store.all() == []
    assert pool.own("/a.ipynb", "uv") is None
    assert not pool.given_back(taken.key)
    assert not pool.given_back("")


async def test_one_into_which_something_was_installed_is_the_notebook_s(
    pool: Pool, store: Store
) -> None:
    taken = await taken_for(pool, store, "/a.ipynb")
    install(taken.prefix, "numpy")
    assert pool.given_back(taken.key)
    assert pool.take("uv") is None, "it never waits again"
    assert taken.key not in pool.in_use(), "where room is needed, it may go"
    assert pool.own("/b.ipynb", "uv") is None
    assert Pool(store, [wish("other")]).own("/a.ipynb", "uv") == taken
    assert pool.own("/a.ipynb", "uv") is None, "another session has it"
    assert pool.given_back(taken.key), "what was installed is still there"
    assert pool.own("/a.ipynb", "uv") == taken


async def test_without_a_notebook_nobody_would_get_it_again(pool: Pool, store: Store) -> None:
    taken = await taken_for(pool, store, None)
    install(taken.prefix, "numpy")
    assert not pool.given_back(taken.key)
    assert store.all() == []


async def test_who_ended_while_nobody_looked_has_given_back(store: Store) -> None:
    before = Pool(store, [SIX])
    unchanged = await taken_for(before, store, "/a.ipynb")
    changed = await taken_for(before, store, "/b.ipynb")
    outlived = await taken_for(before, store, "/c.ipynb")
    for each in (changed, outlived):
        install(each.prefix, "numpy")
    other = Pool(store, [SIX])
    lives = await taken_for(other, store, "/d.ipynb")
    before.close()
    now = Pool(store, [SIX])
    now.sweep(in_use=[outlived.key])
    assert store.find(unchanged.key) is None
    assert now.in_use() == {outlived.key, lives.key}
    assert now.own("/b.ipynb", "uv") == changed
    assert now.own("/c.ipynb", "uv") is None
    assert now.given_back(outlived.key)
    assert now.own("/c.ipynb", "uv") == outlived


async def test_pruning_leaves_what_waits_and_what_is_taken(pool: Pool, store: Store) -> None:
    kept = await taken_for(pool, store, "/a.ipynb")
    install(kept.prefix, "numpy")
    pool.given_back(kept.key)
    taken = await taken_for(pool, store, "/b.ipynb")
    await offer(store, SIX, "waits")
    assert [each.key for each in store.prune(0, pool.in_use())] == [kept.key]
    assert {each.key for each in store.all()} == {taken.key, "waits"}
    assert pool.own("/a.ipynb", "uv") is None
    pool.sweep()
    assert Records(store.root / "pool").kept() == {}


# When it goes wrong


_MAKE = """
import sys, trio
from pathlib import Path
from proxy.environments import uv
from proxy.environments.conda_needs import CondaNeed
from proxy.environments.pool import Pool
from proxy.environments.progress import tell_nobody
from proxy.environments.store import Store
from proxy.environments.uv_environments import UvNeed
from proxy.environments.wishes import PoolWish
cache, channel, packages = sys.argv[1:]
if channel:
    wish = PoolWish(size=1, need=CondaNeed(specs=("toy",), channels=(channel,)))
else:
    wish = PoolWish(size=1, need=UvNeed(requirements=("ipywidgets",)))
pool = Pool(Store(Path(cache)), [wish], packages=Path(packages))
trio.run(pool.make, wish.kind, uv.find(at_rest=True), tell_nobody)
print("made", flush=True)
"""


def killed_while_making(
    store: Store, sign: str, channel: str = "", packages: Path = Path()
) -> None:
    """Have a process make one, and kill it when there is a file like this."""
    command = [sys.executable, "-c", _MAKE, str(store.root), channel, str(packages)]
    with subprocess.Popen(command) as process:
        while next(store.root.glob(sign), None) is None:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)


def left(store: Store) -> set[str]:
    """Return what there is of environments that are made, but for who looks for it."""
    found = {str(path.relative_to(store.root)) for path in store.root.glob("*/*")}
    found |= {str(path.relative_to(store.root)) for path in store.root.glob("pool/[!o]*/*")}
    return {name for name in found if not name.startswith("pool/") or name.count("/") > 1}


def until_swept(store: Store, pool: Pool) -> None:
    """Sweep until nothing is left: what a killed process had started ends soon after it."""
    deadline = time.monotonic() + 30
    while left(store) - {"locks/pool"}:
        assert time.monotonic() < deadline, left(store)
        store.sweep()
        pool.sweep()
        time.sleep(0.05)


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param("pool/taken/*", marks=pytest.mark.thorough),
        pytest.param("building/*/asked.in", marks=pytest.mark.thorough),
        "building/*/environment/lib/*/site-packages/IPython",
    ],
)
def test_one_that_was_killed_at_it_leaves_nothing_that_is_used(store: Store, sign: str) -> None:
    killed_while_making(store, sign)
    pool = Pool(store, [SIX])
    assert pool.take("uv") is None
    assert store.all() == []
    until_swept(store, pool)
    environment = trio.run(made, pool)
    assert pool.take("uv") == environment


async def test_one_that_was_complete_and_did_not_wait_yet_is_swept(
    pool: Pool, store: Store
) -> None:
    await offer(store, SIX, "it")
    records = Records(store.root / "pool")
    assert records.take("it")
    records.change("it", Record(kind="uv", made_for=SIX.made_for))
    records.close()
    pool.sweep()
    assert store.all() == []
    assert records.taken() == {}


async def test_one_that_is_cancelled_leaves_nothing(pool: Pool, store: Store) -> None:
    with trio.CancelScope() as scope:
        await pool.make("uv", uv.find(at_rest=True), lambda _: scope.cancel())
    assert scope.cancelled_caught
    pool.close()
    until_swept(store, pool)


async def test_what_cannot_be_solved_is_named_and_leaves_nothing(store: Store) -> None:
    pool = Pool(store, [wish("kmux-nosuch-package")])
    with pytest.raises(ConfigError, match="kmux-nosuch-package"):
        await pool.make("uv", uv.find(at_rest=True), tell_nobody)
    pool.close()
    until_swept(store, pool)


async def test_a_disk_that_lets_nothing_be_written(pool: Pool, store: Store) -> None:
    await offer(store, SIX, "it")
    (store.root / "pool" / "taken").rmdir()
    (store.root / "pool" / "taken").write_text("")
    assert keys(pool) == ["it"]
    for what in (lambda: pool.take("uv"), lambda: pool.retire("it")):
        with pytest.raises(StoreError, match="cannot write to"):
            what()
    with pytest.raises(StoreError, match="cannot write to"):
        await made(pool)
    assert [each.key for each in store.all()] == ["it"]


async def test_without_a_network_what_is_cached_is_enough(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_index(tmp_path / "index")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    pool = Pool(store, [wish("toy", size=2)])
    with serve(tmp_path / "index") as url:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        await made(pool)
    await made(pool)
    taken = await pool.make_taken("uv", uv.find(), tell_nobody)
    assert asked(taken, "import json, toy; print(json.dumps(toy.version))") == "1.0"
    pool = Pool(store, [wish("six")])
    with pytest.raises(Unreachable, match=r"the package index cannot be reached .*Connection"):
        await made(pool)


# Conda


_TOY = "import json, ipykernel, sys, toy; print(json.dumps([sys.prefix, toy.version]))"


async def test_conda(store: Store, channel_directory: Path, packages: Path) -> None:
    async def made() -> Environment | None:
        return await pool.make("conda", uv.find(at_rest=True), steps.append)

    steps: list[Progress] = []
    with serve(channel_directory) as url:
        wanted = PoolWish(size=2, need=CondaNeed(specs=("toy",), channels=(url,)))
        pool = Pool(store, [wanted], packages=packages)
        first = await made()
    assert first is not None
    assert asked(first, _TOY) == [str(first.prefix), "2.0"]
    assert [step.stage for step in steps[:2]] == ["solving", "installing"]
    second = await made()
    assert second is not None, "the channel is gone, but what it had is cached"
    assert second.prefix != first.prefix
    assert pool.take("conda") == first
    install(first.prefix, "numpy")
    assert not pool.given_back(first.key)
    assert (await pool.make_taken("conda", uv.find(), tell_nobody)).key in pool.in_use()


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param("building/*", marks=pytest.mark.thorough),
        "building/*/environment/conda-meta",
    ],
)
def test_conda_of_one_that_was_killed_at_it(
    store: Store, channel_directory: Path, tmp_path: Path, sign: str
) -> None:
    killed_while_making(store, sign, channel_directory.as_uri(), tmp_path / "packages")
    assert store.all() == []
    until_swept(store, Pool(store, []))
