"""``kmux env list``, as a user sees it. What is made by uv is listed in test_env_prepare.py."""

from __future__ import annotations

import json
from pathlib import Path

from tests.environments.made import make_environment
from tests.frontends.kmux_process import Workplace


def test_there_is_none(workplace: Workplace) -> None:
    assert workplace.kmux("env", "list").stdout == (
        "There is none yet. A notebook's is made when its kernel is started.\n"
    )


def test_for_people_and_for_scripts(workplace: Workplace) -> None:
    cache = workplace.root / ".cache" / "kmux"
    make_environment(
        cache, "aaaaaaaabbbb", size=40_000_000, shared=39_000_000, unused_days=2.5,
        notebooks=("/home/a.ipynb", "/home/b.ipynb"),
    )  # fmt: skip
    make_environment(cache, "aaaaaaaaacccc", size=1500)
    listed = workplace.kmux("env", "list")
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [rows[0], *(row[:4] for row in rows[1:])] == [
        ["KEY", "MANAGER", "PYTHON", "PACKAGES", "SIZE", "AGE", "USED", "NOTEBOOK"],
        ["aaaaaaaaa", "uv", "3.12.4", "2"],
        ["aaaaaaaab", "uv", "3.12.4", "2"],
    ]
    assert rows[2][4:] == ["40 MB", "3 days", "2 days ago", "/home/a.ipynb and 1 more"]
    assert rows[1][6].endswith(" s ago")
    assert listed.stderr == "40 MB in all, 1.0 MB without what uv's cache has too\n"

    first, second = json.loads(workplace.kmux("env", "list", "--json").stdout)
    assert first["key"] == "aaaaaaaaacccc"
    assert second.pop("bytes") - second.pop("own_bytes") == 39_000_000
    assert second.pop("created") < second.pop("used")
    assert second == {
        "key": "aaaaaaaabbbb",
        "manager": "uv",
        "python": "3.12.4",
        "packages": 2,
        "notebooks": ["/home/a.ipynb", "/home/b.ipynb"],
        "sessions": [],
        "prefix": str(Path(cache) / "environments" / "ready" / "aaaaaaaabbbb"),
    }
