"""Notebooks and projects that want conda packages: the running kernel is asked what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_choosing import answer, write
from tests.environments.channel import make_channel
from tests.frontends.kmux_process import Daemon

pytestmark = [pytest.mark.timeout(300), pytest.mark.thorough]

ASK = "import os, sys, toy; print(sys.prefix, toy.version, os.environ['CONDA_PREFIX'])"
PATIENT = 120.0


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_channel(tmp_path_factory.mktemp("channel"), "ipywidgets", "pip")


def started(daemon: Daemon, notebook: Path, channel: str, **environment: str) -> dict[str, Any]:
    """Have its kernel, and check that it runs where kmux says. Returns the session."""
    arguments = ("new", "--notebook", str(notebook), "--trust", "--json")
    environment |= {"KMUX_CONDA_CHANNELS": channel}
    info: dict[str, Any] = json.loads(daemon.kmux(*arguments, timeout=PATIENT, **environment))
    return info


@pytest.mark.parametrize("label", ["conda:inline", "conda:pixi", "conda:env_yml"])
def test_what_is_asked_for(daemon: Daemon, channel: str, label: str) -> None:
    place = daemon.workplace.root / "course"
    place.mkdir()
    runt = {"conda": {"dependencies": ["toy=1.0"], "channels": [channel]}}
    notebook = write(place / "a.ipynb", **({"runt": runt} if label == "conda:inline" else {}))
    if label == "conda:pixi":
        (place / "pixi.toml").write_text(
            '[workspace]\nname = "it"\nchannels = []\nplatforms = ["linux-64"]\n'
            '[dependencies]\ntoy = "1.*"\n'
        )
    if label == "conda:env_yml":
        (place / "environment.yml").write_text("dependencies: ['toy=1.0']\n")
    info = started(daemon, notebook, channel)
    assert info["env_source"] == label
    prefix, version, variable = answer(daemon.attach(info["connection_file"]), ASK).split()
    assert version == "1.0"
    assert Path(prefix).name == info["environment"]
    assert variable == prefix


def test_the_pool_has_them_too_with_kernels_that_wait(daemon: Daemon, channel: str) -> None:
    environment = {
        "KMUX_POOL_CONDA": "1",
        "KMUX_CONDA_CHANNELS": channel,
        "KMUX_DEFAULT_PYTHON_ENV": "conda",
        "KMUX_DEFAULT_PACKAGES": "toy",
    }
    kinds = json.loads(daemon.kmux("pool", "warm", "--json", timeout=PATIENT, **environment))
    (conda,) = [kind for kind in kinds if kind["kind"] == "conda"]
    assert (conda["ready"], conda["kernels"], conda["problem"]) == (1, 1, None)
    info = started(daemon, write(daemon.workplace.root / "a.ipynb"), channel, **environment)
    assert info["env_source"] == "conda:prewarmed"
    prefix, version, _ = answer(daemon.attach(info["connection_file"]), ASK).split()
    assert (Path(prefix).name, version) == (info["environment"], "2.0")
    log = (daemon.workplace.root / "data" / "daemon.log").read_text()
    assert "kernel.started_fresh" not in log
