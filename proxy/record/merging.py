"""Outputs of a session into a notebook that is there, cell by cell.

JupyterLab says with each cell that it runs which one of the notebook it is; what counts is the
latest execution of each that the kernel began. A notebook that was exported has ids of kmux's own,
and takes what its cells have shown since. All else in a notebook stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.errors import ConfigError
from proxy.record.export import cell_ids, missing_lines, outputs_of, ran_in_order, timing
from proxy.record.loading import WholeRecord
from proxy.record.state import Execution
from proxy.record.widget_state import MEDIA_TYPE, widget_state

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Merged:
    """What was done to a notebook."""

    cells: int
    """How many of its cells have the session's outputs now."""
    others: int
    """How many code cells did not run in this session."""
    missing: list[str]
    """What is missing from the record: a line each, for a person."""


def merge(tree: Tree, whole: WholeRecord, on_disk: Callable[[Tree], Tree]) -> Merged:
    """Put outputs, counts and widgets into a notebook as it is on the disk.

    ``on_disk`` gives a notebook in memory that form. Raises :class:`ConfigError` where no cell of
    it ran in the session.
    """
    ran = ran_in_order(whole.record)
    ids = cell_ids(ran)  # those of a notebook that was exported
    latest = {ids[id(e)]: e for e in ran} | {e.cell_id: e for e in ran if e.cell_id is not None}
    code_cells = [cell for cell in tree["cells"] if cell.get("cell_type") == "code"]
    merged = [cell for cell in code_cells if cell.get("id") in latest]
    if not merged:
        raise ConfigError(
            "no cell of this notebook ran in this session, going by the ids that frontends send "
            "with cells (JupyterLab does); without --into it is exported to a new file"
        )
    found = [_ran(n, latest[cell["id"]], whole) for n, cell in enumerate(merged)]
    brought = on_disk({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    for cell, new in zip(merged, brought["cells"], strict=True):
        cell["execution_count"] = new["execution_count"]
        cell["outputs"] = new["outputs"]
        if "execution" in cell.get("metadata", {}):
            cell["metadata"]["execution"] = timing(latest[cell["id"]])
    if widgets := widget_state(whole.record.comms.values()):
        _add_widgets(tree.setdefault("metadata", {}), widgets)
    return Merged(len(merged), len(code_cells) - len(merged), missing_lines(whole))


def _ran(number: int, execution: Execution, whole: WholeRecord) -> Tree:
    return {
        "cell_type": "code",
        "execution_count": execution.execution_count,
        "id": f"cell-{number}",
        "metadata": {},
        "outputs": outputs_of(execution, whole.fetch),
        "source": "",
    }


def _add_widgets(metadata: Tree, widgets: Tree) -> None:
    """Add the session's models to those that the notebook has of others."""
    before = metadata.get("widgets")
    if not isinstance(before, dict) or not isinstance(before.get(MEDIA_TYPE), dict):
        metadata["widgets"] = widgets
        return
    kept = before[MEDIA_TYPE].get("state")
    states = {**(kept if isinstance(kept, dict) else {}), **widgets[MEDIA_TYPE]["state"]}
    before[MEDIA_TYPE] = {**before[MEDIA_TYPE], **widgets[MEDIA_TYPE], "state": states}
