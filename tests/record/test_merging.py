"""Outputs into a notebook that is there: into its cells, and nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.record.merging import Merged, merge
from proxy.record.notebook_file import on_disk
from proxy.record.widget_state import MEDIA_TYPE
from tests.record import facts as f
from tests.record.recorded import Recorded
from tests.record.test_export import ran


def notebook(*cell_ids: str) -> dict[str, Any]:
    """One as JupyterLab has it on the disk."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": cell_id,
            "metadata": {"tags": ["mine"]},
            "outputs": [],
            "source": ["a = 1\n", "a"],
        }
        for cell_id in cell_ids
    ]
    return {"cells": cells, "metadata": {"mine": 1}, "nbformat": 4, "nbformat_minor": 5}


def merged(tree: dict[str, Any], recorded: Recorded) -> Merged:
    return merge(tree, recorded.whole, on_disk)


def test_the_latest_run_of_each_cell_counts() -> None:
    tree = notebook("one", "two", "three")
    before = copy.deepcopy(tree)
    recorded = Recorded(
        *ran("old", "a", at=1.0, cell_id="one"),
        *ran("new", "b", at=2.0, cell_id="one"),
        *(f.queued("runs", "c", cell_id="two"), f.sent("c", at=3.0)),
        *(f.prints("line 1\n", "c"), f.prints("line 2", "c")),
        *(f.queued("waits", "d", cell_id="one"), f.queued("aborted", "e", cell_id="two")),
        f.ended("e", "aborted"),
        *ran("elsewhere", "g", at=5.0, cell_id="of another notebook"),
    )
    made = merged(tree, recorded)
    assert (made.cells, made.others) == (2, 1)
    one, two, _ = tree["cells"]
    assert (one["execution_count"], one["outputs"][0]["text"]) == (2, ["new\n"])
    assert (two["execution_count"], two["outputs"][0]["text"]) == (None, ["line 1\n", "line 2"])
    for cell in (one, two):
        cell["execution_count"], cell["outputs"] = None, []
    assert tree == before, "all else is as it was"


def test_times_are_written_where_there_are_some() -> None:
    tree = notebook("one", "two")
    tree["cells"][0]["metadata"]["execution"] = {"iopub.status.busy": "before"}
    happened = [*ran("1", "a", at=1.0, cell_id="one"), *ran("2", "b", at=2.0, cell_id="two")]
    merged(tree, Recorded(*happened))
    first, second = (cell["metadata"] for cell in tree["cells"])
    assert first["execution"]["iopub.status.busy"] == "1970-01-01T00:00:01Z"
    assert second == {"tags": ["mine"]}


def test_widgets_come_to_those_that_are_there() -> None:
    recorded = Recorded(*ran("1", "a", at=1.0, cell_id="one"), f.opens("c", {"_model_name": "M"}))
    tree = notebook("one")
    merged(tree, recorded)
    assert list(tree["metadata"]["widgets"][MEDIA_TYPE]["state"]) == ["c"]
    tree = notebook("one")
    tree["metadata"]["widgets"] = {MEDIA_TYPE: {"state": {"c": {}, "old": {}}, "version_major": 2}}
    merged(tree, recorded)
    state = tree["metadata"]["widgets"][MEDIA_TYPE]["state"]
    assert (set(state), state["old"], state["c"]["model_name"]) == ({"c", "old"}, {}, "M")


def test_a_notebook_that_was_exported_takes_what_was_shown_since() -> None:
    from proxy.record.export import export

    recorded = Recorded(f.queued("1", "a"), f.sent("a", at=1.0), f.prints("so far\n", "a"))
    tree = on_disk(export(recorded.whole, {"name": "k", "display_name": "k"}).notebook)
    recorded.take(f.prints("more\n", "a"))
    merged(tree, recorded)
    assert tree["cells"][0]["outputs"][0]["text"] == ["so far\n", "more\n"]


def test_a_notebook_of_which_nothing_ran_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="no cell of this notebook ran") as refused:
        merged(notebook("one"), Recorded(*ran("1", "a", at=1.0)))
    assert "\n" not in str(refused.value)


def test_other_cells_of_the_same_id_are_left_alone() -> None:
    tree = notebook("one")
    tree["cells"].append({"cell_type": "markdown", "id": "two", "metadata": {}, "source": "text"})
    recorded = Recorded(*ran("1", "a", at=1.0, cell_id="one"), *ran("2", "b", 2.0, "two"))
    assert merged(tree, recorded).cells == 1
    assert "outputs" not in tree["cells"][1]
