"""What of a notebook is compared: all of it but what is another one each time it runs.

Model ids become what their models are: a hash of the state, in which the ids of other models are
theirs. Which models are the same one is told by how often each is there. Texts of one stream that
follow each other are one text: how a kernel cuts it is chance.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

Tree = dict[str, Any]

_VOLATILE = (
    (re.compile(r"0x[0-9a-f]{6,}"), "<address>"),
    (re.compile(r"/ipykernel_\d+/"), "/ipykernel_<pid>/"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\d\d:\d\d(<|&lt;)(\d\d:\d\d|\?),\s*([\d.,]+|\?)(it/s|s/it)"), "<pace>"),
)
_ID = re.compile(r"[0-9a-f]{32}")
_ROUNDS = 6
"""How deep models are in each other, at most."""


def canonical(notebook: Any, paths: dict[str, str] | None = None) -> Tree:
    """Return the cells that ran, and the metadata; ``paths`` says what to call directories."""
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code" and c["execution_count"]]
    metadata = notebook["metadata"]
    models: Tree = {}
    for kind, saved in metadata.get("widgets", {}).items():
        if kind == "application/vnd.jupyter.widget-state+json":
            models = saved["state"]
    names = _names(models)

    def replace(text: str) -> str:
        for path, name in (paths or {}).items():
            text = text.replace(path, name)
        for pattern, name in _VOLATILE:
            text = pattern.sub(name, text)
        return _ID.sub(lambda found: names.get(found[0], "<id>"), text)

    states = sorted((_model(model) for model in models.values()), key=lambda m: _dumped(m, replace))
    compared = {
        "cells": [_cell(cell) for cell in cells],
        "language_info": metadata.get("language_info"),
        "widgets": states,
    }
    found: Tree = json.loads(_dumped(compared, replace))
    return found


def _cell(cell: Tree) -> Tree:
    return {
        "source": cell["source"],
        "execution_count": cell["execution_count"],
        "timing": sorted(cell["metadata"].get("execution", {})),
        "outputs": joined(cell["outputs"]),
    }


def joined(outputs: list[Tree]) -> list[Tree]:
    """Return outputs with runs of one stream as one."""
    listed: list[Tree] = []
    for output in outputs:
        last = listed[-1] if listed else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            listed[-1] = {**last, "text": last["text"] + output["text"]}
        else:
            listed.append(dict(output))
    return listed


def _model(model: Tree) -> Tree:
    """Put buffers in the order of their paths, and join what an Output widget has."""
    compared = dict(model)
    buffers = model.get("buffers", [])
    compared["buffers"] = sorted(buffers, key=lambda buffer: json.dumps(buffer["path"]))
    outputs = model["state"].get("outputs")
    if isinstance(outputs, list):
        compared["state"] = {**model["state"], "outputs": joined(outputs)}
    return compared


def _names(models: Tree) -> dict[str, str]:
    """Call each model by what it is."""
    names = dict.fromkeys(models, "<model>")
    plain = {model_id: _model(model) for model_id, model in models.items()}
    for _ in range(_ROUNDS):

        def replace(text: str, known: dict[str, str] = names) -> str:
            for pattern, name in _VOLATILE:
                text = pattern.sub(name, text)
            return _ID.sub(lambda found: known.get(found[0], "<id>"), text)

        names = {
            model_id: f"<model {hashlib.sha256(_dumped(m, replace).encode()).hexdigest()[:8]}>"
            for model_id, m in plain.items()
        }
    return names


def _dumped(tree: Any, replace: Callable[[str], str]) -> str:
    return json.dumps(_walk(tree, replace), sort_keys=True)


def _walk(tree: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(tree, str):
        return replace(tree)
    if isinstance(tree, dict):
        return {replace(key): _walk(value, replace) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_walk(value, replace) for value in tree]
    return tree
