"""What waits in pools of tests: what looks like an environment, and takes no time to make."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from proxy.environments.contents import contents_of
from proxy.environments.pool_records import Record, Records
from proxy.environments.store import Manifest, Store
from proxy.environments.uv_environments import UvNeed
from proxy.environments.wishes import PoolWish


def wish(*requirements: str, size: int = 1) -> PoolWish:
    """Want environments of these packages, by uv, without a kernel in them."""
    return PoolWish(size=size, need=UvNeed(requirements=requirements, has_kernel=False))


async def offer(store: Store, wanted: PoolWish, key: str, *, age: float = 0.0) -> str:
    """Have one wait that was made so many seconds ago. Returns its key."""

    async def make(directory: Path, prefix: Path) -> Manifest:
        packages = directory / "lib" / "python3.11" / "site-packages"
        for name in ("six-1.16.0.dist-info", "package"):
            (packages / name).mkdir(parents=True)
        (packages / "six.py").write_text("")
        (directory / "bin").mkdir()
        (directory / "bin" / "python").symlink_to(sys.executable)
        return Manifest(
            manager="uv",
            asked=(),
            packages=(),
            python="bin/python",
            created=time.time() - age,
        )

    records = Records(store.root / "pool")
    record = Record(kind=wanted.kind, made_for=wanted.made_for)
    records.begin(key, record)
    made = await store.make(key, make)
    records.change(
        key, Record(kind=wanted.kind, made_for=wanted.made_for, contents=contents_of(made.prefix))
    )
    records.offer(key)
    records.close()
    return key


def install(prefix: Path, name: str) -> None:
    """Leave what an installer leaves."""
    (packages,) = prefix.glob("lib/python*/site-packages")
    (packages / f"{name}-1.0.dist-info").mkdir()
