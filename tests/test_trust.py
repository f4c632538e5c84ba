"""Jupyter's trust in notebooks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from proxy import trust
from tests.frontends.kmux_process import Daemon


def notebook(shown: str, name: str = "") -> str:
    output = {"output_type": "stream", "name": "stdout", "text": [shown]}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": ["print(1)"],
        "outputs": [output],
        "execution_count": 1,
    }
    return json.dumps(
        {"cells": [cell], "metadata": {"title": name}, "nbformat": 4, "nbformat_minor": 5}
    )


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))


def test_a_notebook_is_trusted_as_long_as_it_shows_the_same() -> None:
    assert not trust.is_trusted(notebook("1\n"))
    assert trust.trust(notebook("1\n"))
    assert trust.is_trusted(notebook("1\n"))
    assert not trust.is_trusted(notebook("2\n"))


def test_one_without_code_is_trusted_for_what_it_lists_and_shows_nothing() -> None:
    listed = {"runt": {"uv": {"dependencies": ["numpy"]}}}
    text = json.dumps({"cells": [], "metadata": listed, "nbformat": 4, "nbformat_minor": 5})
    assert not trust.is_trusted(text)
    assert trust.trust(text)
    assert trust.is_trusted(text)
    assert not trust.is_trusted(text.replace("numpy", "evil"))
    assert not trust.is_output_trusted(text)
    assert trust.trust(notebook("1\n"))
    assert trust.is_output_trusted(notebook("1\n"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": 7, "nbformat": 4}', '{"nbformat": 9}'])
def test_what_is_no_notebook_is_trusted_by_nobody(text: str) -> None:
    assert not trust.is_trusted(text)


def test_signatures_that_cannot_be_kept_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "nbsignatures.db").mkdir()
    assert not trust.is_trusted(notebook("1\n"))


def test_it_is_asked_without_building_a_grammar() -> None:
    """It took longer than a kernel does to start, and is none of a notebook's."""
    script = "import sys, proxy.trust; print({'lark', 'rfc3987_syntax'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("set()\n", ""), "and others may import it"


def test_a_trusted_notebook_stays_so_when_its_outputs_come_into_it(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(daemon.workplace.root / "trust"))
    daemon.workplace.environment["JUPYTER_DATA_DIR"] = str(daemon.workplace.root / "trust")
    session = daemon.json("new", "work")
    client = daemon.attach(session["connection_file"])
    for name in ("trusted", "untrusted"):
        client.send(
            "shell",
            "execute_request",
            {"code": "print(1)", "silent": False, "store_history": True},
            metadata={"cellId": "a"},
        )
        file = daemon.workplace.root / f"{name}.ipynb"
        file.write_text(notebook("before\n", name))
        if name == "trusted":
            trust.trust(file.read_text())
        client.arrive()
        daemon.kmux("export", "work", "--into", str(file))
        assert "before" not in file.read_text()
        assert trust.is_trusted(file.read_text()) == (name == "trusted")
