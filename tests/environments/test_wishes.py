"""The settings of the pool, as wishes."""

from __future__ import annotations

import pytest

from proxy.environments.uv_environments import UvNeed
from proxy.environments.wishes import KINDS, wishes
from proxy.settings import Settings


def test_the_defaults() -> None:
    by_uv, by_conda = wishes(Settings())
    assert (by_uv.kind, by_conda.kind) == KINDS
    assert (by_uv.size, by_conda.size) == (3, 3)
    assert isinstance(by_uv.need, UvNeed)
    assert by_uv.need.for_kernel == ("ipykernel",)
    assert "ipywidgets" in by_uv.need.requirements
    assert not isinstance(by_conda.need, UvNeed)
    assert by_conda.need.channels == ("conda-forge",)
    assert "ipywidgets" in by_conda.need.specs


def test_the_user_s_own_packages_channels_and_sizes() -> None:
    chosen = Settings(
        default_packages="numpy>=2  pandas", conda_channels="a b", pool_uv=1, pool_conda=0
    )
    by_uv, by_conda = wishes(chosen)
    assert (by_uv.size, by_conda.size) == (1, 0)
    assert isinstance(by_uv.need, UvNeed)
    assert by_uv.need.requirements[-2:] == ("numpy>=2", "pandas")
    assert not isinstance(by_conda.need, UvNeed)
    assert by_conda.need.specs[-2:] == ("numpy>=2", "pandas")
    assert by_conda.need.channels == ("a", "b")


def test_what_was_made_for_other_settings_is_told_apart_and_a_size_is_none() -> None:
    def made_for(**chosen: str | int) -> list[str]:
        return [each.made_for for each in wishes(Settings(**chosen))]  # type: ignore[arg-type]

    usual = made_for()
    assert made_for(pool_uv=1, pool_conda=1, pool_days=1) == usual
    assert made_for(conda_channels="a")[0] == usual[0]
    assert made_for(conda_channels="a")[1] != usual[1]
    other = made_for(default_packages="numpy")
    assert other[0] != usual[0]
    assert other[1] != usual[1]


def test_none_of_conda_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [each.size for each in wishes(Settings())] == [3, 0]
