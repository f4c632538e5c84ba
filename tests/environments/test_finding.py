"""A notebook's file, and what is above it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.environments.detection import Choice
from proxy.environments.finding import of_text, text_of
from proxy.errors import ConfigError
from tests.environments.looking import of_notebook


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text("[project]\nname = 'it'\n")
    return tmp_path


def write(path: Path, **metadata: Any) -> Path:
    path.write_text(json.dumps({"cells": [], "metadata": metadata, "nbformat": 4}))
    return path


def test_a_notebook_and_its_project(home: Path) -> None:
    notebook = write(home / "project" / "notebooks" / "a.ipynb")
    assert of_notebook(notebook, home, Choice()).source == "uv:pyproject"
    write(notebook, runt={"uv": {"dependencies": ["numpy"]}})
    assert of_notebook(notebook, home, Choice()).source == "uv:inline"
    assert of_notebook(notebook, home, Choice(inline_first=False)).source == "uv:pyproject"


def test_without_a_notebook_the_directory_says(home: Path) -> None:
    assert of_notebook(None, home / "project", Choice()).source == "uv:pyproject"
    assert of_notebook(None, home, Choice()).source == "uv:prewarmed"
    missing = home / "project" / "new.ipynb"
    assert of_notebook(missing, home, Choice()).source == "uv:pyproject"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"7", b'"\xed\xa0\x80"', b"\x00"]
)
def test_what_is_no_notebook_is_one_line(home: Path, raw: bytes) -> None:
    path = home / "a.ipynb"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as error:
        of_notebook(path, home, Choice())
    assert str(error.value) == f"{path} is no notebook"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_may_be_in_any_unicode(home: Path, encoding: str) -> None:
    path = write(home / "a.ipynb", runt={"uv": {"dependencies": ["numpy"]}})
    path.write_text(path.read_text(), encoding=encoding)
    assert of_notebook(path, home, Choice()).source == "uv:inline"


def test_it_is_read_once(home: Path) -> None:
    """What is shown, or trusted, and what is installed are of the same text."""
    path = write(home / "a.ipynb", runt={"uv": {"dependencies": ["numpy"]}})
    text = text_of(path)
    path.write_text("exchanged")
    found = of_text(text, path, home, Choice())
    assert [each.text for each in found.requirements] == ["numpy"]


def test_what_cannot_be_meant_is_said_of_which_notebook(home: Path) -> None:
    path = write(home / "a.ipynb", runt={"uv": {"dependencies": "numpy"}})
    with pytest.raises(ConfigError) as error:
        of_notebook(path, home, Choice())
    assert str(error.value).startswith(f"{path}: metadata.runt.uv.dependencies is to be a list")
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        of_notebook(home, home, Choice())
