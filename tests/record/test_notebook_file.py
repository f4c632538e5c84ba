"""Notebook files: read, written whole or not at all, and never over what somebody just saved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from proxy.errors import ConfigError, InternalError
from proxy.record import notebook_file
from proxy.record.notebook_file import NotebookFile

NOTEBOOK: dict[str, Any] = {
    "cells": [
        {
            "cell_type": "code",
            "id": "one",
            "metadata": {},
            "source": ["a = 'é'\n", "a"],
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["x\n"]}],
            "execution_count": 1,
        }
    ],
    "metadata": {"z": 1, "a": [1.5, None, True]},
    "nbformat": 4,
    "nbformat_minor": 5,
}

STYLES = {
    "nbformat's": json.dumps(NOTEBOOK, indent=1, ensure_ascii=False) + "\n",
    "two blanks, no end of line": json.dumps(NOTEBOOK, indent=2, ensure_ascii=False),
    "tabs": json.dumps(NOTEBOOK, indent="\t", ensure_ascii=False) + "\n\n",
    "escapes": json.dumps(NOTEBOOK, indent=4) + "\n",
    "one line": json.dumps(NOTEBOOK),
    "one tight line": json.dumps(NOTEBOOK, separators=(",", ":"), ensure_ascii=False),
    "Windows": json.dumps(NOTEBOOK, indent=1).replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + json.dumps(NOTEBOOK, indent=1, ensure_ascii=False),
}


def written(path: Path, text: str) -> NotebookFile:
    path.write_bytes(text.encode())
    return notebook_file.read(path)


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_what_is_not_changed_is_written_byte_for_byte(tmp_path: Path, text: str) -> None:
    before = written(tmp_path / "a.ipynb", text)
    assert before.written(before.tree) == text
    before.tree["cells"][0]["execution_count"] = 2
    changed = before.written(before.tree)
    assert changed != text
    assert len(changed) == len(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no notebook"),
        ("[1]", "is no notebook"),
        ('{"cells": []}', "is no notebook"),
        ('{"cells": [1], "nbformat": 4, "nbformat_minor": 5}', "is no notebook"),
        ("\x00\xff", "is no notebook"),
        ('{"cells": [{}], "nbformat": 4, "nbformat_minor": 4}', "format 4.4.* no ids"),
        ('{"worksheets": [], "nbformat": 3}', "format 3.0"),
    ],
)
def test_what_has_no_cells_with_ids_is_refused_in_one_line(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        written(tmp_path / "a.ipynb", text)
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot read"):
        notebook_file.read(tmp_path / "missing.ipynb")


def test_what_changed_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    before = written(path, STYLES["nbformat's"])
    path.write_text("saved by somebody else")
    with pytest.raises(ConfigError, match="changed meanwhile"):
        notebook_file.replace(before, "ours")
    assert path.read_text() == "saved by somebody else"
    notebook_file.replace(before, "ours", force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"], "nothing is left behind"
    assert path.read_text() == "ours"


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "a.ipynb", tmp_path / "link.ipynb"
    path.write_text(STYLES["one line"])
    path.chmod(0o640)
    link.symlink_to(path)
    notebook_file.replace(notebook_file.read(link), "ours")
    assert link.is_symlink()
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("ours", 0o640)
    notebook_file.create(link, "anew", force=True)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("anew", 0o640)


def test_a_new_file_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("this filesystem has none")

    umask = os.umask(0o022)
    try:
        notebook_file.create(tmp_path / "a.ipynb", "first")
        for _ in range(2):
            with pytest.raises(ConfigError, match="is there already; --force"):
                notebook_file.create(tmp_path / "a.ipynb", "second")
            monkeypatch.setattr(os, "link", no_links)
        assert (tmp_path / "a.ipynb").read_text() == "first"
        notebook_file.create(tmp_path / "b.ipynb", "without links")
        notebook_file.create(tmp_path / "a.ipynb", "forced", force=True)
    finally:
        os.umask(umask)
    found = {p.name: (p.read_text(), p.stat().st_mode & 0o777) for p in tmp_path.iterdir()}
    assert found == {"a.ipynb": ("forced", 0o644), "b.ipynb": ("without links", 0o644)}


def test_where_nothing_can_be_written_it_is_said_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "a.ipynb", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot write|is there already"):
            notebook_file.create(path, "text")


def test_a_notebook_is_written_as_nbformat_does() -> None:
    text = notebook_file.written(NOTEBOOK)
    assert text == STYLES["nbformat's"] or json.loads(text) == NOTEBOOK
    assert nbformat.reads(text, as_version=4).cells[0].source == "a = 'é'\na"
    assert text.startswith('{\n "cells"')
    joined: dict[str, Any] = {**NOTEBOOK["cells"][0], "source": "a\nb"}
    assert notebook_file.on_disk({**NOTEBOOK, "cells": [joined]})["cells"][0]["source"] == [
        "a\n",
        "b",
    ]


def test_what_is_not_valid_is_our_own_fault() -> None:
    with pytest.raises(InternalError, match="not valid"):
        notebook_file.written({**NOTEBOOK, "cells": [{"cell_type": "odd", "id": "a"}]})
