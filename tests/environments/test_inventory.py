"""What is said of environments."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.environments.inventory import SHORT, meant, python_version, shortened
from proxy.environments.store import Environment, Manifest
from proxy.errors import ConfigError, NotFound

KEYS = ["aab4", "aac5", "aa", "b"]


@pytest.mark.parametrize(
    ("configuration", "packages", "version"),
    [
        ("home = /usr\nversion_info = 3.12.4\n", (), "3.12.4"),  # uv's
        ("home = /usr\nversion = 3.11.2\n", (), "3.11.2"),  # of Python's venv module
        (None, ("ipython=9=0", "python=3.11.2=h_0", "python-dateutil=2=0"), "3.11.2"),
        ("home = /usr\n", ("six==1.16.0",), ""),
        (None, (), ""),
    ],
)
def test_which_python_it_has(
    tmp_path: Path, configuration: str | None, packages: tuple[str, ...], version: str
) -> None:
    if configuration is not None:
        (tmp_path / "pyvenv.cfg").write_text(configuration)
    manifest = Manifest(manager="", asked=(), packages=packages, python="bin/python", created=0)
    assert python_version(Environment(key="k", prefix=tmp_path, manifest=manifest)) == version


def test_a_few_letters_are_enough() -> None:
    assert meant(["b", "aab"], KEYS) == ["b", "aab4"]
    assert meant(["aa"], KEYS) == ["aa"], "a whole key is meant, though others begin with it"
    assert meant(["b", "b"], KEYS) == ["b"]
    assert meant([], KEYS) == []


@pytest.mark.parametrize("word", ["", "c", "aab45", "AA"])
def test_who_is_not_there(word: str) -> None:
    with pytest.raises(NotFound, match=f"there is no environment '{word}'; kmux env list shows"):
        meant([word], KEYS)


def test_who_may_be_several() -> None:
    with pytest.raises(ConfigError, match="'a' may be aa or aab4 or aac5; give more of it"):
        meant(["b", "a"], KEYS)


@given(st.lists(st.text("ab", min_size=1, max_size=20), unique=True))
def test_what_is_shown_is_understood(keys: list[str]) -> None:
    for key, short in shortened(keys).items():
        assert len(short) >= min(SHORT, len(key))
        others = [each for each in keys if each.startswith(short)]
        assert others == [key] or short == key
        assert meant([short], keys) == [key]
