"""Kernelspecs of real kernels; the ones that run kmux are passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import NoSuchKernel

from proxy.errors import ConfigError
from proxy.kernels import specs
from proxy.kernels.specs import SHARED_METADATA, RealKernelSpecManager, find

SHARED = {SHARED_METADATA: {"kernel": "python3"}}


class Places:
    """Two directories of Jupyter's path, the first one first."""

    def __init__(self, root: Path) -> None:
        self.directories = [root / "user" / "kernels", root / "system" / "kernels"]
        for directory in self.directories:
            directory.mkdir(parents=True)

    def install(self, name: str, place: int = 0, **fields: Any) -> Path:
        directory = self.directories[place] / name
        directory.mkdir()
        spec = {"argv": ["x"], "display_name": name, "language": "x", **fields}
        (directory / "kernel.json").write_text(json.dumps(spec))
        return directory


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places(tmp_path)
    monkeypatch.setattr(specs, "jupyter_path", lambda *_: [str(d) for d in places.directories])
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return places


def test_specs_of_all_places_are_found_and_the_first_one_wins(places: Places) -> None:
    first = places.install("python3")
    places.install("python3", 1)
    second = places.install("IR", 1)
    found = RealKernelSpecManager().find_kernel_specs()
    assert found == {"python3": str(first), "ir": str(second)}


def test_one_that_runs_kmux_is_passed_over_for_a_real_one_of_its_name(places: Places) -> None:
    """It would start itself for ever."""
    places.install("python3", metadata=SHARED)
    real = places.install("python3", 1, metadata={"debugger": True})
    assert RealKernelSpecManager().find_kernel_specs() == {"python3": str(real)}
    assert find("python3").metadata == {"debugger": True}


def test_one_that_runs_kmux_cannot_be_found_by_its_name(places: Places) -> None:
    places.install("python3-shared", metadata=SHARED)
    places.install("python3")
    with pytest.raises(ConfigError, match="installed: python3"):
        find("python3-shared")


def test_a_name_is_found_whatever_its_case(places: Places) -> None:
    places.install("Bash")
    assert find("bash").display_name == "Bash"
    assert find("BASH").display_name == "Bash"


def test_an_unknown_name_brings_the_nearest(places: Places) -> None:
    for name in ("python3", "python2", "julia-1.10", "bash", "deno"):
        places.install(name)
    with pytest.raises(ConfigError) as caught:
        find("pyton3")
    said = str(caught.value)
    assert said.startswith("no kernel 'pyton3'; installed: python3")
    assert "deno" not in said


def test_or_all_where_none_is_near(places: Places) -> None:
    for name in ("python3", "bash"):
        places.install(name)
    with pytest.raises(ConfigError, match="installed: bash, python3"):
        find("zzz")


def test_where_no_kernel_is_installed_it_says_what_to_install(places: Places) -> None:
    places.install("python3-shared", metadata=SHARED)
    with pytest.raises(ConfigError, match="pip install ipykernel"):
        find("python3")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"metadata": null}', b'{"metadata": 7}', b'"x"'],
)
def test_what_is_no_kernelspec_is_passed_over(places: Places, content: bytes) -> None:
    (places.install("broken") / "kernel.json").write_bytes(content)
    (places.directories[0] / "empty").mkdir()
    (places.directories[0] / "file").write_text("x")
    good = places.install("good", 1)
    assert RealKernelSpecManager().find_kernel_specs() == {"good": str(good)}
    with pytest.raises(ConfigError):
        find("broken")


@pytest.mark.parametrize("fields", [{"env": []}, {"interrupt_mode": "shout"}])
def test_one_with_a_wrong_field_is_a_config_error(places: Places, fields: dict[str, Any]) -> None:
    places.install("odd", **fields)
    with pytest.raises(ConfigError, match="odd"):
        find("odd")


def test_a_directory_that_is_missing_is_none(places: Places, tmp_path: Path) -> None:
    places.directories.insert(0, tmp_path / "missing")
    places.directories.append(tmp_path / "ipython" / "kernels")
    good = places.install("good", 1)
    assert RealKernelSpecManager().find_kernel_specs() == {"good": str(good)}


@pytest.mark.parametrize("name", ["", "..", "../user", "/etc", "a/b", "\x00", "x" * 5000])
def test_an_odd_name_is_an_unknown_one(places: Places, name: str) -> None:
    places.install("python3")
    with pytest.raises(ConfigError, match="no kernel"):
        find(name)
    with pytest.raises(NoSuchKernel):
        RealKernelSpecManager().get_kernel_spec(name)


def test_jupyters_own_directories_are_looked_through() -> None:
    """The kernelspec that came with ipykernel in this environment."""
    assert "python3" in RealKernelSpecManager().find_kernel_specs()
    assert find("python3").language == "python"
