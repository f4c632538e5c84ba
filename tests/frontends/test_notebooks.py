"""A session's notebook is what nbclient writes (``python -m conformance.notebooks``).

Here those of kmux's own, one behind the other, and whether the comparison sees what it should.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.notebooks import written
from conformance.notebooks.canonical import canonical
from conformance.notebooks.sides import run

LEAST = 20


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_an_export_is_what_nbclient_writes_with_nobody_watching(tmp_path: Path) -> None:
    notebook = written.joined()
    direct = canonical(run(notebook, "direct", tmp_path))
    alone = canonical(run(notebook, "alone", tmp_path))
    for wanted, cell in zip(direct["cells"], alone["cells"], strict=True):
        assert cell == wanted
    assert alone["widgets"] == direct["widgets"]
    assert alone == direct
    assert len(written.notebooks()) >= LEAST
    assert len(direct["cells"]) > 100
    assert len(direct["widgets"]) > 80


def notebook() -> dict[str, Any]:
    """Two widgets, one in the other, and a cell that shows the outer one."""
    inner, outer = "1" * 32, "2" * 32
    states = {
        inner: {"state": {"value": 3, "outputs": [stream("a"), stream("b")]}},
        outer: {"state": {"children": [f"IPY_MODEL_{inner}"]}, "buffers": [{"path": ["v"]}]},
    }
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": outer}}
    shown = {"output_type": "display_data", "data": view, "metadata": {}}
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "source": "1",
        "metadata": {"execution": {"iopub.status.busy": "2026-11-29T14:00:00.5Z"}},
        "outputs": [stream("one "), stream("two"), shown, stream("<f at 0x7f00aa11bb22>")],
    }
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": states}}
    metadata = {"language_info": {"name": "python"}, "widgets": widgets}
    return {"cells": [cell], "metadata": metadata}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def renamed(text: str) -> str:
    for before, now in (("1" * 32, "a" * 32), ("2" * 32, "0" * 32), ("7f00aa11bb22", "55aa00")):
        text = text.replace(before, now)
    return text


def walk(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {walk(key): walk(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [walk(each) for each in tree]
    return renamed(tree) if isinstance(tree, str) else tree


def test_ids_and_times_and_how_a_stream_is_cut_are_no_difference() -> None:
    other = walk(notebook())
    other["cells"][0]["outputs"][:2] = [stream("one"), stream(" t"), stream("wo")]
    other["cells"][0]["metadata"]["execution"]["iopub.status.busy"] = "2026-11-30T00:00:00Z"
    states = other["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    states["a" * 32]["state"]["outputs"] = [stream("ab")]
    assert canonical(other) == canonical(notebook())


def _state(tree: Any, model: str) -> Any:
    widgets = tree["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]
    return widgets["state"][model * 32]


CHANGES: dict[str, Callable[[Any], None]] = {
    "a text": lambda n: n["cells"][0]["outputs"][0].update(text="one  "),
    "a stream": lambda n: n["cells"][0]["outputs"][0].update(name="stderr"),
    "an output less": lambda n: n["cells"][0]["outputs"].pop(),
    "the order": lambda n: n["cells"][0]["outputs"].reverse(),
    "a count": lambda n: n["cells"][0].update(execution_count=2),
    "a cell less": lambda n: n["cells"].pop(),
    "a time that is not there": lambda n: n["cells"][0]["metadata"]["execution"].clear(),
    "another widget is shown": lambda n: n["cells"][0]["outputs"][2].update(
        data={"application/vnd.jupyter.widget-view+json": {"model_id": "1" * 32}}
    ),
    "a widget's value": lambda n: _state(n, "1")["state"].update(value=4),
    "what a widget captured": lambda n: _state(n, "1")["state"]["outputs"].pop(),
    "what is in a widget": lambda n: _state(n, "2")["state"].update(children=[]),
    "a buffer": lambda n: _state(n, "2").update(buffers=[]),
    "a widget less": lambda n: n["metadata"].pop("widgets"),
    "the language": lambda n: n["metadata"].pop("language_info"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_all_else_is_a_difference(change: Callable[[Any], None]) -> None:
    other = copy.deepcopy(notebook())
    change(other)
    assert canonical(other) != canonical(notebook())
