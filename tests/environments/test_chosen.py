"""The settings, as environments have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.environments import chosen
from proxy.environments.detection import Choice
from proxy.errors import ConfigError, StoreError
from proxy.settings import Settings


def test_without_settings_it_is_what_detection_has_by_itself() -> None:
    assert chosen.choice_of(Settings(), ()) == Choice()
    assert chosen.channels_of(Settings()) == ("conda-forge",)
    assert chosen.prewarmed_of(Settings()) == ("ipykernel", "ipywidgets", "pip")


def test_what_was_chosen() -> None:
    settings = Settings(
        default_runtime="deno",
        default_python_env="conda",
        inline_first=False,
        conda_channels=" a  b ",
        default_packages="numpy pandas>=2",
    )
    assert chosen.choice_of(settings, ["ir"]) == Choice(
        default_runtime="deno", default_python_env="conda", inline_first=False, kernelspecs=["ir"]
    )
    assert chosen.channels_of(settings) == ("a", "b")
    assert chosen.prewarmed_of(settings) == ("ipykernel", "ipywidgets", "pip", "numpy", "pandas>=2")


def test_where_environments_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMUX_CACHE_DIR", str(tmp_path / "cache"))
    assert chosen.store().prefix("key") == tmp_path / "cache" / "environments" / "ready" / "key"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KMUX_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot use the cache directory"):
        chosen.store()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "environments").write_text("")
    monkeypatch.setenv("KMUX_CACHE_DIR", str(tmp_path / "other"))
    with pytest.raises(StoreError, match="cannot write to"):
        chosen.store()
