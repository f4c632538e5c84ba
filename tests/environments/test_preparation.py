"""Real kernels in real environments, asked where they run and what they have."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from jupyter_client.connect import write_connection_file

from proxy.environments import uv
from proxy.environments.detection import Choice
from proxy.environments.preparation import prepare
from proxy.environments.progress import tell_nobody
from proxy.environments.store import Store
from proxy.kernel_command import CONNECTION_FILE, KernelCommand
from tests.environments.looking import of_notebook
from tests.frontends.kmux_process import Client

pytestmark = pytest.mark.timeout(180)

ASK = """
import importlib.metadata as m, json, os, shutil, sys
print(json.dumps({{"prefix": sys.prefix, "version": m.version({package!r}),
                  "path": shutil.which("python"), "variables": dict(os.environ)}}))
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Store(tmp_path / "cache")


def commanded(notebook: Path, store: Store, channels: tuple[str, ...] = ()) -> KernelCommand:
    async def prepared() -> KernelCommand:
        return await prepare(
            of_notebook(notebook, notebook.parent, Choice()),
            store=store,
            uv=uv.find(),
            tell=tell_nobody,
            notebook=notebook,
            channels=channels,
        )

    return trio.run(prepared)


def run(command: KernelCommand, directory: Path, code: str) -> str:
    """Run a cell in a kernel, and return what it prints."""
    file, _ = write_connection_file(str(directory / "kernel.json"))
    process = subprocess.Popen(
        [argument.replace(CONNECTION_FILE, file) for argument in command.argv],
        env=command.environment(os.environ),
        cwd=directory,
        stdin=subprocess.DEVNULL,
    )
    client = Client(connection_file=file)
    try:
        client.load_connection_file()
        client.start_channels()
        if command.language == "python":
            client.attach()
        else:
            client.attach_without_welcome()
        cell = client.execute(code)
        printed: str = client.hear_stream(cell)
        assert client.reply(cell)["content"]["status"] == "ok"
        return printed
    finally:
        client.stop_channels()
        process.kill()
        process.wait()


def asked(command: KernelCommand, directory: Path, package: str) -> Any:
    return json.loads(run(command, directory, ASK.format(package=package)))


def write(directory: Path, code: str = "", **metadata: Any) -> Path:
    cells = [{"cell_type": "code", "source": code}]
    notebook = directory / "a.ipynb"
    notebook.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4}))
    return notebook


def test_uv_inline(tmp_path: Path, store: Store) -> None:
    notebook = write(tmp_path, runt={"uv": {"dependencies": ["six==1.16.0"]}})
    command = commanded(notebook, store)
    said = asked(command, tmp_path, "six")
    assert said["version"] == "1.16.0"
    assert said["prefix"] == command.prefix == said["variables"]["VIRTUAL_ENV"]
    assert said["path"] == f"{command.prefix}/bin/python"
    (made,) = store.all()
    assert made.key == command.key
    assert made.used.notebooks == (str(notebook),)


@pytest.mark.thorough
def test_uv_pep723(tmp_path: Path, store: Store) -> None:
    notebook = write(tmp_path, '# /// script\n# dependencies = ["six==1.16.0"]\n# ///')
    said = asked(commanded(notebook, store), tmp_path, "six")
    assert said["version"] == "1.16.0"


def test_uv_pyproject_with_a_kernel_laid_over_it(tmp_path: Path, store: Store) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'it'\nversion = '1'\nrequires-python = '>=3.11'\n"
        "dependencies = ['six==1.16.0', 'traitlets==5.14.0']\n"
    )
    command = commanded(write(tmp_path), store)
    said = asked(command, tmp_path, "traitlets")
    assert said["prefix"] == str(tmp_path / ".venv")
    assert said["version"] == "5.14.0", "the project's own comes first"
    other = "import subprocess, sys; print(subprocess.call([sys.executable, '-c', 'import zmq']))"
    assert run(command, tmp_path, other) == "1\n", "what its code starts is without the overlay"


@pytest.mark.thorough
def test_conda(tmp_path: Path, store: Store, channel_directory: Path) -> None:
    channel = channel_directory.as_uri()
    (tmp_path / "environment.yml").write_text(
        f"channels: ['{channel}']\ndependencies: ['toy=1.0']\nvariables: {{GREETING: hello}}\n"
    )
    ask = "import json, os, sys, toy\nprint(json.dumps([sys.prefix, toy.version, {**os.environ}]))"
    command = commanded(write(tmp_path), store)
    prefix, version, variables = json.loads(run(command, tmp_path, ask))
    assert (prefix, version) == (command.prefix, "1.0")
    assert (variables["CONDA_PREFIX"], variables["GREETING"]) == (prefix, "hello")
    (tmp_path / "pixi.toml").write_text("[workspace]\nchannels = []\n[dependencies]\ntoy = '2.*'\n")
    command = commanded(write(tmp_path), store, (channel,))
    assert json.loads(run(command, tmp_path, ask))[:2] == [command.prefix, "2.0"]


def test_deno(tmp_path: Path, store: Store) -> None:
    command = commanded(write(tmp_path, kernelspec={"name": "deno"}), store)
    assert run(command, tmp_path, "console.log(Deno.build.os)") == "linux\n"
    assert command.interrupt_mode == "message"
